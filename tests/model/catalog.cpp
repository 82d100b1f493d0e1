// catalog.cpp - exhaustive explorer of how processes share files beside a pool's first, and numbers for their pages (src/io/catalog.h, src/share/files.h).
//   build:  g++ -O3 -std=c++17 -o catalog catalog.cpp   (README.md beside this file)
//   usage:  ./catalog 'spec=AP|EE;BP;rAPa' [n=1] [dies=0 [deaths=1] [rdies]] [trace] [f=1 ...mutations]
// n numbers (n=1, 2), each an extent of one page, and two slots for files: A has pages 0 and 1, B has page 0. spec: processes separated by ';', their threads by '|'. Ops:
//   A B  get that file's page 0, C file A's page 1; gives up if there is no number     P put what was got last; D the same, modified
//   E F  evict what is in frame 0, 1, if it is not pinned       X  the pool's first file gets a page more, which needs a number from the other end
//   a b  close the process's handle of that file: no other thread of it makes calls on the file then        r s  attach file A, B again
// A process has a handle of a file from the beginning, if the first that it does with the file is not to attach it. A slot that becomes free gets another file by the next attach: its
// generation says which. dies=: processes (digits) of which any may die, deaths= of them in a run, at any step; a recoverer deals with it (rdies: and dies, once; another begins anew).
//
// THE PROTOCOL (P = plain store, which waits in the thread's store buffer, x86-TSO; L = locked operation)
//  With the role (a word, the owner's number): owners of numbers, the links by which they are found, low, limit.  Whoever has it waits for nothing.
//  With the pool's lock (the kernel's: who dies does not have it any more): which processes hold a file, and a slot's state; it, generation and closer are one word.
//  get: number by the process's own map, else: the role: by the links; else one that is free, or limit lowered, and low: then owner (one store), then the link; role off; own map.  Entry
//    resident: P slot; entry again: pinned.  None: L loading; load; P slot; L resident.
//  evict: claim, entry closing (L), heavy barrier, slots: one: L resident; none: [modified: no descriptor of the slot's file, of this generation: L resident, ask who holds it; else write;] no entry; claim off.
//  close: lock: bit off; none left: closing, by me; unlock.  Here <- 0.  Others hold it: no thread of mine has a page of it in hand: descriptor closed.  Nobody: what numbers are owned by it: each page claimed,
//    and evicted, not written.  The role: link off, owner <- nobody, free list.  Slot <- free, generation + 1.
//  attach: lock.  In: descriptor asked for without the lock, and the slot looked at again; bit on.  Closing, or in and nobody holds it: unlock, take over if nobody is at it; wait.  Free: bit; in.
//  recovery, with the lock: pins, loads, claims of the dead; had it the role: links anew by owners, limit by low, role off.  It was at a closing: nobody is.  Bit off; in, and nobody holds it: closing.
//    What is closing, and nobody at it: as above, but it waits for nothing: where it would, nobody is at it again.
// What must not be: a get has another page; a page is loaded by a number that is not its; a pinned frame is emptied; a page is in memory by a number not its file's, or twice; a number is in a chain and free,
// or neither; the first file has a number that others have; a page is written to another file, or by a closed descriptor; a close drops another's page; anything of the dead is left.
#include <cstdio>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>
using namespace std; typedef uint8_t u8;

enum {MT=4,MSB=2,ME=2,MS=2}; static int T,N=1,R,procs,proc[MT+1],deaths=1; static unsigned dies; static bool rdies,trace;
// mutations
static bool linksnot,limitnot,limitlate,extendlate,gennot,recgennot,takeearly,closenoscan,closeearly,evnobar,closerfirst,closerlast,heldonly,roleearly,waitrole,ownnot,ownernot,linkfirst,closernot,takenot,agennot;
enum Ent {NO,LOAD,RES,CLOS}; enum St {FREE,IN,CLOSING};
#define PCS X(DONE)X(DEAD)X(G_MAP)X(G_ENT)X(G_SLOT)X(G_CHK)X(G_RESC)X(G_BACK)X(L_INS)X(L_READ)X(L_SLOT)X(L_PUB)\
 X(H_ROLE)X(H_FIND)X(H_POP)X(H_LIM)X(H_LIM2)X(H_LOW)X(H_OWN)X(H_LINK)X(H_FULL)X(H_END)X(H_MAP)\
 X(P_DIRTY)X(P_OFF)X(E_CLOSE)X(E_BAR)X(E_SCAN)X(E_FD)X(E_WRITE)X(E_FREE)X(E_REOP)X(X_END)X(X_ADD)X(X_CHK)\
 X(K_LOCK)X(K_OFF)X(K_SAY)X(K_UNL)X(K_HERE)X(K_OWN)X(K_FD)\
 X(C_PAGES)X(C_BAR)X(C_SCAN)X(C_OUT)X(C_ROLE)X(C_UNLINK)X(C_TAKE)X(C_PUSH)X(C_UNR)X(C_FREE)X(C_LATE)X(C_GIVEUP)\
 X(A_LOCK)X(A_LOOK)X(A_ASK)X(A_BIT)X(A_OUT)X(A_NEW)X(A_IN)X(A_UNL)\
 X(R_IDLE)X(R_LOCK)X(R_PINS)X(R_ENT)X(R_LINKS)X(R_LINK)X(R_LIM)X(R_ROLE)X(R_CLOSER)X(R_BIT)X(R_SAY)X(R_LEFT)X(R_UNL)
#define X(x) x,
enum PC {PCS};
#undef X
#define X(x) #x,
static const char*pcname[]={PCS};
// A thread; e: the number in hand; holds: bit 7 the number, below it 1; asked: generation of which it was answered; ret: who goes on after a close's end.
struct Th{u8 pc,op,s,i,e,j,holds,nsb,sb[MSB],asked,ret;};
// Of a process: handle's generation, 0: it has none; generation its descriptor is used for, and is of; its map.
struct Pr{u8 gen[MS],here[MS],fd[MS],w[MS][2];};
// rec: the owner; own: numbers that the first file has; done: of the dead, whom nobody need recover any more.
struct S{u8 st[MS],gen[MS],closer[MS],hold[MS],rec[ME],chain[ME],link[ME],ent[ME],by[ME],byte[ME],dirty[ME],claim[ME],head,low,limit,end,own,role,lock,slot[MT],dead,gone,done,again;Pr p[MT];Th t[MT+1];};
static vector<string> prog; static const char*viol;

static u8 id(int s,int g,int i){return (u8)(1+s*64+g*2+i);}
static int rs(u8 r){return (r-1)>>6;} static int rg(u8 r){return ((r-1)&63)>>1;} static int ri(u8 r){return (r-1)&1;}
static bool same(u8 r,int s,int g){return r&&rs(r)==s&&(recgennot||rg(r)==g);}
// Which page that number is of.
static u8 whose(const S&s,int e){u8 r=s.rec[e];return r&&s.st[rs(r)]!=FREE&&same(r,rs(r),s.gen[rs(r)])?id(rs(r),s.gen[rs(r)],ri(r)):0;}
static void drain(S&s,int t){for(int i=0;i<s.t[t].nsb;i++)s.slot[t]=s.t[t].sb[i];s.t[t].nsb=0;memset(s.t[t].sb,0,MSB);}
static bool st(S&s,int t,u8 v){Th&h=s.t[t];if(h.nsb==MSB)return false;h.sb[h.nsb++]=v;return true;}
static void begin(S&s,int t){Th&h=s.t[t];h.e=h.j=h.s=h.i=h.asked=h.ret=0;if(t==R){h.pc=R_LEFT;return;}const Pr&p=s.p[proc[t]];
 for(;;h.op++){if(h.op>=prog[t].size()){h.pc=DONE;return;}char o=prog[t][h.op];
 if(o=='A'||o=='B'||o=='C'){h.s=o=='B';h.i=o=='C';if(p.gen[h.s]){h.pc=G_MAP;return;}}
 if((o=='P'||o=='D')&&h.holds){h.e=(u8)(h.holds>>7);h.pc=o=='D'?P_DIRTY:P_OFF;return;}
 if(o=='E'||o=='F'){h.e=o=='F';h.pc=E_CLOSE;return;}
 if(o=='X'){h.pc=X_END;return;}
 if(o=='a'||o=='b'){h.s=o=='b';if(p.gen[h.s]){h.pc=K_LOCK;return;}}
 if(o=='r'||o=='s'){h.s=o=='s';if(!p.gen[h.s]){h.pc=A_LOCK;return;}}
 h.s=h.i=0;}}
static void next(S&s,int t){if(t!=R)s.t[t].op++;begin(s,t);}
static bool pinned(const S&s,int e){for(int i=0;i<T;i++)if(s.slot[i]==e+1)return true;return false;}
static void heavy(S&s){for(int i=0;i<T;i++)drain(s,i);}
static void got(S&s,int t){Th&h=s.t[t];if(s.byte[h.e]!=id(h.s,s.p[proc[t]].gen[h.s],h.i))viol="a get has another page";h.holds=(u8)(1|h.e<<7);next(s,t);}
static bool take(S&s,int t,u8&word){if(word)return false;drain(s,t);word=(u8)(t+1);return true;}
static bool gonethread(const S&s,u8 who){return who&&(who==R+1||(s.gone>>proc[who-1]&1));}
// The close goes on where it was begun.
static void closed(S&s,int t){Th&h=s.t[t];h.j=h.e=0;h.pc=h.ret;h.ret=0;if(h.pc==R_LEFT)h.s=0;}
// It cannot go on, and must not wait.
static bool wait_(S&s,int t){if(t!=R||waitrole)return false;s.t[t].pc=C_GIVEUP;return true;}
static void restart(S&s){Th&h=s.t[R];memset(&h,0,sizeof h);h.pc=R_PINS;}
// One step; false: it waits.
static bool step(S&s,int t){Th&h=s.t[t];u8&pc=h.pc;Pr&p=s.p[t==R?0:proc[t]];const int f=h.s,e=h.e;
 switch(pc){
 case G_MAP:if(!p.w[f][h.i]){pc=H_ROLE;return true;}h.e=(u8)(p.w[f][h.i]-1);pc=G_ENT;return true;
 case G_ENT:pc=s.ent[e]==NO?L_INS:s.ent[e]==LOAD?G_MAP:G_SLOT;return s.ent[e]!=LOAD;
 case G_SLOT:if(!st(s,t,(u8)(e+1)))return false;pc=G_CHK;return true;
 case G_CHK:if(s.ent[e]==RES)got(s,t);else pc=s.ent[e]==CLOS?G_RESC:G_BACK;return true;
 case G_RESC:drain(s,t);if(s.ent[e]==CLOS){s.ent[e]=RES;got(s,t);}else pc=G_CHK;return true;
 case G_BACK:if(!st(s,t,0))return false;h.e=0;pc=G_MAP;return true;
 case L_INS:drain(s,t);if(s.ent[e]!=NO){h.e=0;pc=G_MAP;return true;}s.ent[e]=LOAD;s.by[e]=(u8)(t+1);pc=L_READ;return true;
 case L_READ:if(whose(s,e)!=id(f,p.gen[f],h.i))viol="a page is loaded by a number that is not its file's";s.byte[e]=whose(s,e);pc=L_SLOT;return true;
 case L_SLOT:if(!st(s,t,(u8)(e+1)))return false;pc=L_PUB;return true;
 case L_PUB:drain(s,t);s.ent[e]=RES;s.by[e]=0;got(s,t);return true;
 // A number is found, or had.
 case H_ROLE:if(!take(s,t,s.role))return false;pc=H_FIND;return true;
 case H_FIND:for(int x=0;x<N;x++)if(s.chain[x]&&same(s.rec[x],f,p.gen[f])&&ri(s.rec[x])==h.i){h.e=(u8)x;pc=H_END;return true;}
  pc=s.head?H_POP:!s.low?H_FULL:H_LIM;return true;
 case H_POP:h.e=(u8)(s.head-1);s.head=s.link[h.e];pc=linkfirst?H_LINK:H_OWN;return true;
 case H_LIM:if(limitlate&&s.end>=s.low){pc=H_FULL;return true;}if(!limitlate)s.limit=(u8)(s.low-1);pc=H_LIM2;return true;
 case H_LIM2:if(limitlate)s.limit=(u8)(s.low-1);if(s.end>s.limit&&!limitlate){s.limit=s.low;pc=H_FULL;}else pc=H_LOW;return true;
 case H_LOW:h.e=--s.low;pc=linkfirst?H_LINK:H_OWN;return true;
 case H_OWN:drain(s,t);if(!ownernot)s.rec[e]=id(f,p.gen[f],h.i);pc=linkfirst?H_END:H_LINK;return true;
 case H_LINK:s.chain[e]=1;pc=linkfirst?H_OWN:H_END;return true;
 case H_FULL:s.role=0;next(s,t);return true; // EFBIG
 case H_END:s.role=0;pc=H_MAP;return true;
 case H_MAP:p.w[f][h.i]=(u8)(e+1);h.e=0;pc=G_MAP;return true;
 // What is pinned is put; a frame is emptied.
 case P_DIRTY:drain(s,t);s.dirty[e]=1;pc=P_OFF;return true;
 case P_OFF:if(!st(s,t,0))return false;h.holds=0;next(s,t);return true;
 case E_CLOSE:drain(s,t);if(s.ent[e]!=RES||s.claim[e]){next(s,t);return true;}s.claim[e]=(u8)(t+1);s.ent[e]=CLOS;pc=evnobar?E_SCAN:E_BAR;return true;
 case E_BAR:heavy(s);pc=E_SCAN;return true;
 case E_SCAN:pc=pinned(s,e)?E_REOP:s.dirty[e]?E_FD:E_FREE;return true;
 case E_FD:{int x=s.rec[e]?rs(s.rec[e]):-1;if(x<0){viol="a page of nobody's is written";return true;}
  if(p.here[x]&&(gennot||p.here[x]==s.gen[x])){h.asked=p.fd[x];pc=E_WRITE;return true;}
  pc=E_REOP;h.asked=(u8)(128|x);return true;}
 case E_WRITE:if(s.ent[e]!=CLOS){h.asked=0;pc=E_REOP;return true;}
  if(!p.fd[rs(s.rec[e])])viol="a page is written by a closed descriptor";else if(whose(s,e)!=s.byte[e]||p.fd[rs(s.rec[e])]!=s.gen[rs(s.rec[e])])viol="a page is written to another file";
  h.asked=0;s.dirty[e]=0;pc=E_FREE;return true;
 case E_FREE:if(s.ent[e]==CLOS){for(int i=0;i<T;i++)if(s.t[i].holds&&(s.t[i].holds>>7)==e)viol="the frame of a page that is pinned is emptied";s.ent[e]=NO;s.byte[e]=0;}s.claim[e]=0;next(s,t);return true;
 // With nothing claimed: who holds it is asked for his descriptor; it is his generation's.
 case E_REOP:if(s.claim[e]==t+1){if(s.ent[e]==CLOS)s.ent[e]=RES;s.claim[e]=0;if(!h.asked)next(s,t);return true;}
  {int x=h.asked&127;for(int q=0;q<procs;q++)if(s.st[x]==IN&&!(s.dead>>q&1)&&s.p[q].here[x]==s.gen[x]&&s.gen[x]){p.here[x]=p.fd[x]=s.gen[x];break;}next(s,t);return true;}
 // The first file gets a page more.
 case X_END:if(s.end>=s.limit)next(s,t);else pc=X_ADD;return true;
 case X_ADD:drain(s,t);h.e=s.end++;pc=X_CHK;return true;
 case X_CHK:if(e<s.limit||extendlate)s.own|=(u8)(1<<e);next(s,t);return true;
 // A handle is closed.
 case K_LOCK:if(!take(s,t,s.lock))return false;pc=K_OFF;return true;
 case K_OFF:s.hold[f]&=(u8)~(1<<proc[t]);pc=s.hold[f]?K_UNL:K_SAY;return true;
 case K_SAY:s.st[f]=CLOSING;s.closer[f]=(u8)(t+1);h.ret=K_FD;pc=K_UNL;return true;
 case K_UNL:s.lock=0;pc=K_HERE;return true;
 case K_HERE:drain(s,t);p.here[f]=0;h.j=0;pc=h.ret?takeearly?C_ROLE:C_PAGES:K_OWN;return true;
 case K_OWN:for(int x=0;x<N&&!ownnot;x++)if(same(s.rec[x],f,p.gen[f])&&((s.ent[x]==LOAD&&proc[s.by[x]-1]==proc[t])||(s.ent[x]!=LOAD&&s.claim[x]&&s.claim[x]<=T&&proc[s.claim[x]-1]==proc[t])))return false;
  pc=K_FD;return true;
 case K_FD:p.fd[f]=0;p.gen[f]=0;p.w[f][0]=p.w[f][1]=0;next(s,t);return true;
 // Its pages leave memory, and its numbers.
 case C_PAGES:for(;h.j<N;h.j++){int x=h.j;if(!same(s.rec[x],f,s.gen[f])||s.ent[x]==NO||closeearly)continue;
   if(s.claim[x]||s.ent[x]!=RES)return wait_(s,t);drain(s,t);h.e=(u8)x;s.claim[x]=(u8)(t+1);s.ent[x]=CLOS;pc=closenoscan?C_OUT:C_BAR;return true;}
  h.j=0;pc=takeearly?C_FREE:C_ROLE;return true;
 case C_BAR:heavy(s);pc=C_SCAN;return true;
 case C_SCAN:if(!pinned(s,e)){pc=C_OUT;return true;}if(s.ent[e]==CLOS)s.ent[e]=RES;s.claim[e]=0;h.e=0;pc=C_PAGES;return t==R?wait_(s,t):true;
 case C_OUT:if(s.ent[e]==CLOS){if(!same(s.byte[e],f,s.gen[f]))viol="a close drops another's page";s.ent[e]=NO;s.byte[e]=s.dirty[e]=0;}s.claim[e]=0;h.e=0;pc=C_PAGES;return true;
 case C_ROLE:if(!take(s,t,s.role))return wait_(s,t);h.j=0;pc=C_UNLINK;return true;
 case C_UNLINK:for(;h.j<N&&!(same(s.rec[h.j],f,s.gen[f])&&!takenot);h.j++);if(h.j==N){h.j=0;pc=C_UNR;return true;}h.e=h.j;s.chain[h.e]=0;pc=C_TAKE;return true;
 case C_TAKE:s.rec[e]=0;s.link[e]=s.head;pc=C_PUSH;return true;
 case C_PUSH:s.head=(u8)(e+1);h.e=0;pc=C_UNLINK;return true;
 case C_UNR:s.role=0;h.j=0;pc=takeearly?C_PAGES:C_FREE;return true;
 case C_FREE:if(closerfirst){s.closer[f]=0;pc=C_LATE;return true;}s.st[f]=FREE;s.gen[f]++;if(closerlast){pc=C_LATE;return true;}s.closer[f]=0;closed(s,t);return true;
 case C_LATE:if(closerlast)s.closer[f]=0;else{s.st[f]=FREE;s.gen[f]++;}closed(s,t);return true;
 case C_GIVEUP:s.closer[f]=0;closed(s,t);h.s=(u8)(f+1);return true;
 // A file is attached.
 case A_LOCK:if(!take(s,t,s.lock))return false;pc=A_LOOK;return true;
 case A_LOOK:if(s.st[f]==FREE){pc=A_NEW;return true;}
  if(s.st[f]==IN&&!s.hold[f]){s.st[f]=CLOSING;s.closer[f]=0;return true;}
  if(s.st[f]==CLOSING){s.lock=0;pc=A_OUT;return true;}
  if(p.here[f]==s.gen[f]||(h.asked&&(h.asked==s.gen[f]||agennot))){pc=A_BIT;return true;}
  s.lock=0;h.e=s.gen[f];pc=A_ASK;return true;
 case A_ASK:for(int q=0;q<procs;q++)if(!(s.dead>>q&1)&&s.p[q].here[f]==h.e){h.asked=h.e;h.e=0;pc=A_LOCK;return true;}
  next(s,t);return true; // EAGAIN
 case A_BIT:if(p.here[f]!=s.gen[f]){p.here[f]=s.gen[f];p.fd[f]=h.asked;}h.asked=0;s.hold[f]|=(u8)(1<<proc[t]);p.gen[f]=s.gen[f];pc=A_UNL;return true;
 case A_OUT:h.e=0;if(s.st[f]!=CLOSING){pc=A_LOCK;return true;}if(s.closer[f])return false;drain(s,t);s.closer[f]=(u8)(t+1);h.ret=A_LOCK;h.j=0;pc=C_PAGES;return true;
 case A_NEW:s.hold[f]=(u8)(1<<proc[t]);p.gen[f]=p.here[f]=p.fd[f]=s.gen[f];h.asked=0;pc=A_IN;return true;
 case A_IN:s.st[f]=IN;pc=A_UNL;return true;
 case A_UNL:s.lock=0;next(s,t);return true;
 // What the dead left.
 case R_IDLE:if(!(s.dead&~s.done))return false;pc=R_LOCK;return true;
 case R_LOCK:if(!take(s,t,s.lock))return false;s.gone=(u8)(s.dead&~s.done);pc=R_PINS;return true;
 case R_PINS:for(int i=0;i<T;i++)if(s.gone>>proc[i]&1)s.slot[i]=0;if(roleearly&&gonethread(s,s.role)){s.role=0;}pc=R_ENT;return true;
 case R_ENT:if(h.j==N){h.j=0;pc=gonethread(s,s.role)||roleearly?R_LINKS:R_CLOSER;return true;}
  if(s.ent[h.j]==LOAD&&gonethread(s,s.by[h.j])){s.ent[h.j]=NO;s.by[h.j]=s.byte[h.j]=0;}
  if(gonethread(s,s.claim[h.j])){if(s.ent[h.j]==CLOS)s.ent[h.j]=RES;s.claim[h.j]=0;}h.j++;return true;
 case R_LINKS:if(!linksnot){s.head=0;for(int x=0;x<N;x++)s.chain[x]=0;}h.j=s.low;pc=linksnot?R_LIM:R_LINK;return true;
 case R_LINK:if(h.j==N){h.j=0;pc=R_LIM;return true;}if(s.rec[h.j])s.chain[h.j]=1;else{s.link[h.j]=s.head;s.head=(u8)(h.j+1);}h.j++;return true;
 case R_LIM:h.j=0;if(!limitnot)s.limit=s.low;pc=R_ROLE;return true;
 case R_ROLE:if(gonethread(s,s.role))s.role=0;pc=R_CLOSER;return true;
 case R_CLOSER:if(h.j==MS){h.j=0;pc=R_BIT;return true;}if(gonethread(s,s.closer[h.j])&&!closernot)s.closer[h.j]=0;h.j++;return true;
 case R_BIT:if(h.j==MS){h.j=h.s=0;pc=R_LEFT;return true;}if(s.hold[h.j]&s.gone){s.hold[h.j]&=(u8)~s.gone;pc=R_SAY;return true;}
  if(s.st[h.j]==IN&&!s.hold[h.j]&&!heldonly){pc=R_SAY;return true;}h.j++;return true;
 case R_SAY:if(s.st[h.j]==IN&&!s.hold[h.j]){s.st[h.j]=CLOSING;s.closer[h.j]=0;}h.j++;pc=R_BIT;return true;
 case R_LEFT:for(int x=h.s;x<MS;x++)if(s.st[x]==CLOSING&&!s.closer[x]){h.s=(u8)x;s.closer[x]=(u8)(t+1);h.ret=R_LEFT;h.j=0;pc=C_PAGES;return true;}
  h.s=0;pc=R_UNL;return true;
 case R_UNL:s.done|=s.gone;s.gone=0;s.lock=0;pc=R_IDLE;return true;
 }return false;}

// What must hold in every state.
static const char*wrong(const S&s){
 for(int e=0;e<N;e++){
  if((s.ent[e]==RES||s.ent[e]==CLOS)&&s.byte[e]!=whose(s,e))return "a page is in memory by a number that is not its file's";
  if(s.own>>e&1&&(e>=s.low||s.rec[e]))return "the first file has a number that others have";
  for(int x=e+1;x<N;x++){if(s.ent[e]!=NO&&s.ent[x]!=NO&&s.byte[e]&&s.byte[e]==s.byte[x])return "a page is in memory twice";if(s.rec[e]&&s.rec[e]==s.rec[x])return "two numbers are of one page";}}
 for(int q=0;q<procs;q++)if(!(s.dead>>q&1))for(int f=0;f<MS;f++)if(s.p[q].gen[f]&&s.hold[f]>>q&1){
  if(s.st[f]==CLOSING||s.p[q].gen[f]!=s.gen[f])return "a file that is held is closed";
  for(int i=0;i<2;i++)if(s.p[q].w[f][i]&&s.rec[s.p[q].w[f][i]-1]!=id(f,s.gen[f],i))return "a map has a number that is not its file's";}
 if(s.role)return 0;
 if(s.limit!=s.low)return "the first file's limit is wrong";
 u8 in=0;for(int n=0,x=s.head;x;x=s.link[x-1]){if(n++>N||s.rec[x-1]||s.chain[x-1]||in>>(x-1)&1)return "the free list is none";in|=(u8)(1<<(x-1));}
 for(int e=0;e<N;e++){if(s.chain[e]&&(e<s.low||!s.rec[e]))return "a chain has a number of nobody's";
  if(e>=s.low&&!(in>>e&1)&&!(s.chain[e]&&s.st[rs(s.rec[e])]!=FREE))return "a number is lost";}
 return 0;}
static const char*atend(const S&s){
 for(int t=0;t<T;t++)if(s.slot[t]&&!s.t[t].holds)return "a pin is left";
 for(int e=0;e<N;e++)if(s.ent[e]==LOAD||s.ent[e]==CLOS||s.claim[e])return "an entry is left";
 if(s.role)return "the role is left";
 if(s.lock)return "the pool's lock is left";
 for(int f=0;f<MS;f++){if(s.closer[f])return "a file is left closing";if(s.st[f]==IN&&(!s.hold[f]||s.hold[f]&s.dead))return "a holder is left";}
 return 0;}

static vector<S> q; static vector<uint32_t> from,at; static size_t used;
static uint64_t hash_of(const S&s){uint64_t h=14695981039346656037ull;const u8*p=(const u8*)&s;for(size_t i=0;i<sizeof s;i++)h=(h^p[i])*1099511628211ull;return h^h>>29;}
static bool put(vector<uint32_t>&v,uint32_t n){size_t m=v.size()-1,i=hash_of(q[n])&m;for(;v[i];i=(i+1)&m)if(!memcmp(&q[v[i]-1],&q[n],sizeof(S)))return false;v[i]=n+1;return true;}
// A state that is not known yet.
static void add(const S&s,uint32_t by){q.push_back(s);if(!put(at,(uint32_t)(q.size()-1))){q.pop_back();return;}from.push_back(by);
 if(++used*2>at.size()){vector<uint32_t> more(at.size()*2);for(uint32_t n=0;n<q.size();n++)put(more,n);at.swap(more);}}
static void show(uint32_t n){if(from[n]!=n)show(from[n]);const S&s=q[n];const S&o=q[from[n]];
 for(int t=0;t<=T;t++)printf(" %d:%s%s",t,pcname[s.t[t].pc],memcmp(&s.t[t],&o.t[t],sizeof(Th))?"*":"");
 printf("  role %d lock %d head %d low %d limit %d end %d dead %x done %x |",s.role,s.lock,s.head,s.low,s.limit,s.end,s.dead,s.done);
 for(int f=0;f<MS;f++)printf(" st %d gen %d closer %d hold %x",s.st[f],s.gen[f],s.closer[f],s.hold[f]);
 for(int e=0;e<N;e++)printf(" | rec %d chain %d ent %d byte %d claim %d dirty %d",s.rec[e],s.chain[e],s.ent[e],s.byte[e],s.claim[e],s.dirty[e]);puts("");}
static int bad(const char*what,const char*w,uint32_t n){if(trace)show(n);printf("VIOLATION %s%s  states %zu\n",what,w,q.size());return 1;}

int main(int c,char**v){string spec;for(int i=1;i<c;i++){string a=v[i];
 if(a.substr(0,5)=="spec=")spec=a.substr(5);else if(a.substr(0,2)=="n=")N=a[2]-'0';else if(a.substr(0,7)=="deaths=")deaths=a[7]-'0';else if(a.substr(0,5)=="dies=")for(char ch:a.substr(5))dies|=1u<<(ch-'0');
#define M(x) else if(a==#x)x=true;
 M(rdies)M(trace)
 M(linksnot)M(limitnot)M(limitlate)M(extendlate)M(gennot)M(recgennot)M(takeearly)M(closenoscan)M(closeearly)M(evnobar)M(closerfirst)M(closerlast)M(heldonly)M(roleearly)M(waitrole)M(ownnot)M(ownernot)M(linkfirst)M(closernot)M(takenot)M(agennot)
 else if(a!="quiet"&&a.substr(0,4)!="cap=")return fprintf(stderr,"no such option: %s\n",v[i]),2;}
 string one;int at_proc=0;for(char ch:spec+";"){if(ch==';'||ch=='|'){if(prog.size()>=MT)return 2;proc[prog.size()]=at_proc;prog.push_back(one);one="";at_proc+=ch==';';}else if(ch!=' ')one+=ch;}
 T=R=(int)prog.size();procs=at_proc;proc[R]=MT;if(N<1||N>ME)return 2;
 S s;memset(&s,0,sizeof s);s.low=s.limit=(u8)N;
 for(int f=0;f<MS;f++){s.gen[f]=1;for(int x=0;x<procs;x++){char first=0;for(int t=0;t<T;t++)if(proc[t]==x)for(char ch:prog[t])if(!first&&strchr(f?"Bbs":"ACar",ch))first=ch;
  if(!first||first=="rs"[f])continue;s.st[f]=IN;s.hold[f]|=(u8)(1<<x);s.p[x].gen[f]=s.p[x].here[f]=s.p[x].fd[f]=1;}}
 for(int t=0;t<T;t++)begin(s,t);
 s.t[R].pc=R_IDLE;at.resize(1<<16);add(s,0);
 for(uint32_t n=0;n<q.size();n++){S now=q[n];bool any=false,done=true;
  if(const char*w=wrong(now))return bad("",w,n);
  for(int x=0;x<procs;x++)if((dies&~now.dead)>>x&1&&__builtin_popcount(now.dead)<deaths){S m=now;m.dead|=(u8)(1<<x);
   for(int t=0;t<T;t++)if(proc[t]==x){drain(m,t);memset(&m.t[t],0,sizeof(Th));m.t[t].pc=DEAD;if(m.lock==t+1)m.lock=0;}
   memset(&m.p[x],0,sizeof(Pr));add(m,n);}
  for(int t=0;t<=T;t++){
   if(t<T&&now.t[t].nsb){S m=now;m.slot[t]=m.t[t].sb[0];m.t[t].nsb--;for(int i=0;i<m.t[t].nsb;i++)m.t[t].sb[i]=m.t[t].sb[i+1];m.t[t].sb[m.t[t].nsb]=0;any=true;add(m,n);}
   if(t==R&&rdies&&!now.again&&now.t[R].pc>R_LOCK){S m=now;m.again=1;restart(m);add(m,n);}
   if(t==R&&rdies&&!now.again&&now.t[R].pc>=C_PAGES&&now.t[R].pc<=C_GIVEUP){S m=now;m.again=1;restart(m);add(m,n);}
   if(now.t[t].pc==DONE||now.t[t].pc==DEAD)continue;if(t!=R)done=false;
   S m=now;if(!step(m,t))continue;any=true;
   if(viol)return bad("",viol,n);
   add(m,n);}
  if(!any&&done)if(const char*w=atend(now))return bad("at the end: ",w,n);
  if(!any&&!done)return bad("nobody goes on","",n);
 }
 printf("OK %zu states\n",q.size());return 0;}
