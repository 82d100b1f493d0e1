// latches.cpp - exhaustive explorer (x86-TSO) of latches and optimistic reads, beside pins.cpp.
//   build:  g++ -O3 -std=c++17 -o latches latches.cpp   (README.md beside this file)
//   usage:  ./latches 'spec=G0 X0 M U P0;V0 C;E0' [K=1 NF=1 NP=1 SB=3 res=1 on=1 cap=24 ver=0 procs=00 die=0 maxdie=1 ...variants and mutations]
// spec: threads separated by ';'.  Ops (p page, f frame, q process):
//   Gp get   Pp put   Xp latch exclusively   Yp the same, try   Sp latch shared   U unlatch   M modify (two bytes)   R read under a latch
//   Vp peek, and read   C unchanged?   Np upgrade from the version of the last peek   Ef evict frame f   Wf sync's whole image of frame f
//   Dp delete page p, which I have pinned   O switch latches on   Rq recover process q   . nothing (a point to die at)
//   "prog|prog2": prog2 is run by a new thread of the same number once the recoverer has released it.
// What an op needs and the thread does not have (a pin, a latch, a peek that succeeded) makes it do nothing.
// procs=001: process of each thread.  die=mask of processes that may die, at any step, maxdie in all.  on=0: latches are off at first.
// res=mask of frames resident at the start (frame f holds page f).  ver=1: frame 0's first version.  cap=log2 of the state table.
//
// THE PROTOCOL (what the unmutated model does; P = plain store, L = locked operation)
//  latch word of a frame {version, owner, waiting, in use, look, turn}.  Mark of a thread: the frame that it has latched shared, 0: none (P, the owner alone).
//  exclusive: no owner ->L mine.  In use: heavy barrier; wait until no mark names the frame; L in use off.  Off: dirty (L) if modified, then L {version + 1, no owner}; wake.
//  shared: L in use on, if it is off; P mark; second look: in use still, and no owner: latched.  Else P mark 0, wake an owner, start over.  Off: P mark 0; an owner: wake it.
//  turn (with `turns`): who finds it not to be had may set it, L, when it sets waiting: nobody else becomes the owner then.  It goes with the L that makes it the owner; a shared
//    latch has it off after its second look (L; waiting was on: wake), and so has a sync, after its copy.
//  upgrade (pinned): the frame is the peek's, L {version, no owner} -> {version, mine}; then as exclusive.
//  peek: entry resident; word, no owner; look set: the frame's word, not abandoned; the entry again, the same and resident.  unchanged: word: that version, no owner.
//  eviction: claim, close, heavy, scan of the slots, then the flag, then the marks, then the owner: any: reopen.  Dirty: off, copy, closing still (L), write.  Then the flag; on: L version + 1; L closing -> free.
//  delete: the same, with one pin, its own.
//  sync of a page that may be pinned: claim; L dirty off, writing on; word, no owner; copy; word the same; write.  Else L dirty on again, and wait for the owner.
//  load: entry loading, a free frame, bytes, slot, entry resident: no version changes (that of the eviction is enough, as a peek wants the entry resident after it has the word).
//  switching on: flag L 1; heavy; flag L 2: latches may be taken, and pages be peeked at.  Who takes pages out need not be waited for: he looks at the flag after the closing.
//    (The barrier is for memory weaker than TSO: tests/litmus.)
//  death: of each owner that is dead: L look on, L abandoned, L {version + 1, no owner}, wake; its slots and marks P 0, wake; then as in pins.cpp.
//
// A state is memory + store buffers + thread locals + ghosts.  Plain stores go to the thread's FIFO buffer, loads see the
// own buffer first, every locked operation drains the buffer first.  Breadth first, so a violation's trace is a shortest one.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cstdint>
#include <string>
#include <vector>
#include <map>
#include <sys/mman.h>
using namespace std; typedef uint8_t u8; typedef uint16_t u16; typedef uint64_t u64;

// ---------------------------------------------------------------- configuration
enum {MT=4,MF=2,MPG=2,MK=2,MSB=4};
static int T=1,K=1,NF=1,NP=1,SBCAP=3,dieMask=0,maxDie=1,on=1,ver0=0; static u8 proc[MT];
// variants that are right: lazy (an evictor may leave a victim closing and unclaimed), loadbump (the loader changes the version too, before the first byte),
//   keepinuse (exclusive leaves "in use" on until it unlatches), peeknoowner (a peek does not look for an owner: unchanged does).  The rest are mutations;
//   closing: a peek takes closing entries too, which is wrong whether or not the loader changes the version.
static bool lazy,loadbump,closing,keepinuse,
 nobar,nomarks,barfirst,noinuse,nosecond,second_noinuse,second_noowner,markfirst,useclr,useclrearly,evclr,
 nover,dirtylate,nosetdirty,nowake,nowakeback,countlate,
 peeknoowner,peekno2nd,peekwordlate,nolook,unchnoowner,upnoframe,upnover,upunpinned,
 evnoowner,evownerfirst,evnomarks,evmarksfirst,evflagfirst,evnobump,evbumplate,delnobump,delnomarks,
 syncnolook,syncnosame,syncdirtylate,bumpflagfirst,
 turns,turnignored,upturn,turnnotold,turnkept,rec_noturn,rec_nolatch,rec_nover,rec_abandlate,rec_noaband,rec_nolook,rec_looklate,rec_nomarks,rec_nowake,torn_nolook,quietf;

// ---------------------------------------------------------------- memory
enum {E0=0,FW=E0+MPG,FP=FW+MF,LW=FP+MF,WC=LW+MF,SL=WC+MF,MK0=SL+MT*MK,CT=MK0+MT,DK=CT+MF*2,FG=DK+MPG*2,NM=FG+1};
// entry of a page: state | x<<4; x: the frame, or the loader
enum {NOENT=0,LOAD=1,RES=2,CLOS=3};
static inline u16 mk(int x,int st){return st|x<<4;} static inline int est(u16 e){return e&15;} static inline int ex_(u16 e){return e>>4;}
// frame word; 0: free
enum {DIRTY=1,WRITING=2,ABAND=4,USED=8,CL=4}; static inline int claimer(u16 w){return (w>>CL)-1;}
// latch word: owner + 1 (3 bits) | waiting | in use | look | turn | version<<7
enum {OWNER=7,WAIT=8,INUSE=16,LOOK=32,TURN=64,VS=7,VONE=1<<VS};
enum {TRY=16};
struct Th{u8 pc,op,alt,i,f,p,w8,fl,lm,lf,lp,vf,vp,self,tn,none;u16 w,e,c,ver;u16 vb[2],cp[2];u8 hold[MPG],hf[MPG];u8 nsb,sa[MSB];u16 sv[MSB];};
struct S{u16 m[NM];
 u16 mod[MPG];                          // ghost: the last modification begun
 u8 ab[MPG],xh[MF],sh[MF];              // ghosts: torn by a death; who holds a frame exclusively + 1; who holds it shared
 u8 pd,pr,deaths,rl;Th t[MT];};
enum OpK{END,GET,PUT,XL,YL,SHL,UNL,MODI,READ,PEEK,UNCH,UPG,EVICT,WSYNC,DEL,SWON,RECOV,NOP};
struct Op{OpK k;int a;}; static vector<Op> prog[MT][2];
#define PCS X(DONE)X(DEAD)X(G_ENT)X(G_TRY)X(G_CHK)X(G_RESC)X(G_REAL)X(G_BACK)X(L_FRAME)X(L_BUMP)X(L_TORN)X(L_FILL)X(L_SLOT)X(L_PUB)X(L_REAL)X(L_UNCL)X(L_FAIL)X(L_FREE)\
 X(P_OFF)X(X_ON)X(X_LOOK)X(X_WCNT)X(X_WSET)X(X_SLEEP)X(X_CAS)X(X_BAR)X(X_CNT)X(X_MARKS)X(X_SLEEPM)X(X_OFF)X(X_GIVE)X(X_GIVEN)X(N_LOOK)X(N_CAS)X(S_ON)X(S_LOOK)X(S_USE)X(S_MARK)X(S_2ND)X(S_BACK)X(S_BLOOK)X(S_BNOTE)X(T_OFF)X(T_NOTE)\
 X(U_DIRTY)X(U_XOFF)X(U_XNOTE)X(U_XDIRTY)X(U_SOFF)X(U_SLOOK)X(U_SNOTE)X(M_0)X(M_1)X(R_0)X(R_1)X(V_ON)X(V_E1)X(V_W)X(V_AB)X(V_E2)X(V_R0)X(V_R1)X(C_W)\
 X(E_CLAIM)X(E_CLOSE)X(E_BAR)X(E_SCAN)X(E_FLAG)X(E_MARKS)X(E_OWNER)X(E_WORD)X(E_CLR)X(E_COPY)X(E_STILL)X(E_FAILD)X(E_WRITE)X(E_WDONE)X(E_SFLAG)X(E_BUMP)X(E_FREE)X(E_LATE)X(E_PUTF)X(E_REOP)X(E_UNCL)\
 X(D_SLOT)X(W_CLAIM)X(W_CLR)X(W_LOOK)X(W_COPY)X(W_SAME)X(W_WRITE)X(W_LATE)X(W_UNDO)X(W_SLEEP)X(W_TWAIT)X(W_UNCL)X(O_FLAG)X(O_BAR)X(O_ON)\
 X(Q_WAIT)X(Q_LAT)X(Q_LOOKB)X(Q_AB)X(Q_OFF)X(Q_LATE)X(Q_NOTE)X(Q_TURN)X(Q_SLOT)X(Q_MARK)X(Q_WAKE)X(Q_ENT)X(Q_FW)X(Q_REOP)X(Q_UNCL)X(Q_FREE)X(Q_REL)X(NOPPC)
#define X(a) a,
enum PC{PCS};
#undef X
#define X(a) #a,
static const char*pcn[]={PCS};
#undef X
static u64 cov[160];
static const char*viol; static void bad(const char*w){if(!viol)viol=w;}

static u16 ld(const S&s,int t,int a){const Th&h=s.t[t];for(int i=h.nsb-1;i>=0;i--)if(h.sa[i]==a)return h.sv[i];return s.m[a];}
static void flush1(S&s,int t){Th&h=s.t[t];s.m[h.sa[0]]=h.sv[0];h.nsb--;for(int i=0;i<h.nsb;i++){h.sa[i]=h.sa[i+1];h.sv[i]=h.sv[i+1];}h.sa[h.nsb]=0;h.sv[h.nsb]=0;}
static void drain(S&s,int t){while(s.t[t].nsb)flush1(s,t);}
static bool st(S&s,int t,int a,u16 v){Th&h=s.t[t];if(h.nsb>=SBCAP)return false;h.sa[h.nsb]=a;h.sv[h.nsb]=v;h.nsb++;return true;} // false: buffer full, wait
static bool cas(S&s,int t,int a,u16 o,u16 n){drain(s,t);if(s.m[a]!=o)return false;s.m[a]=n;return true;}
static u16 rm(S&s,int t,int a,u16 andm,u16 orm){drain(s,t);u16 o=s.m[a];s.m[a]=(o&andm)|orm;return o;} // RMW
static inline int sl(int t,int k){return SL+t*K+k;}
static inline u16 byte_(int p,int n){return p<<12|n;} // the n-th modification of page p

static Op curop(const S&s,int t){const Th&h=s.t[t];auto&v=prog[t][h.alt];return h.op<v.size()?v[h.op]:Op{END,0};}
static void clr(Th&h){h.i=h.f=h.p=h.w8=h.fl=h.self=0;h.w=h.e=h.c=0;h.cp[0]=h.cp[1]=0;}
static void begin(S&s,int t){Th&h=s.t[t];
 for(;;){clr(h);Op o=curop(s,t);h.p=o.a;
  switch(o.k){
  case END:h.pc=DONE;return;
  case GET:h.pc=G_ENT;return;
  case PUT:if(!h.hold[o.a])break;h.f=h.hf[o.a];h.pc=P_OFF;return;
  case XL:case YL:if(!h.hold[o.a]||h.lm)break;h.f=h.hf[o.a];h.pc=X_ON;return;
  case SHL:if(!h.hold[o.a]||h.lm)break;h.f=h.hf[o.a];h.pc=S_ON;return;
  case UPG:if(!h.vf||h.lm||(!h.hold[o.a]&&!upunpinned))break;h.f=upunpinned?h.vf-1:h.hf[o.a];h.pc=N_LOOK;return;
  case UNL:if(!h.lm)break;h.f=h.lf;h.p=h.lp;h.pc=h.lm==2?U_SOFF:h.lm==3&&!dirtylate&&!nosetdirty?U_DIRTY:U_XOFF;return;
  case MODI:if(h.lm!=1)break;h.f=h.lf;h.p=h.lp;h.pc=M_0;return;
  case READ:if(!h.lm)break;h.f=h.lf;h.p=h.lp;h.pc=R_0;return;
  case PEEK:h.vf=0;h.ver=0;h.vb[0]=h.vb[1]=0;h.vp=o.a;h.pc=V_ON;return;
  case UNCH:if(!h.vf)break;h.f=h.vf-1;h.pc=C_W;return;
  case EVICT:h.f=o.a;h.p=0;h.pc=E_CLAIM;return;
  case DEL:if(!h.hold[o.a]||h.lm)break;h.f=h.hf[o.a];h.pc=E_CLAIM;return;
  case WSYNC:h.f=o.a;h.p=0;h.pc=W_CLAIM;return;
  case SWON:h.pc=O_FLAG;return;
  case RECOV:h.pc=Q_WAIT;return;
  case NOP:h.pc=NOPPC;return;}
  h.op++;}}
static void next(S&s,int t){s.t[t].op++;begin(s,t);}
static void pinned(S&s,int t){Th&h=s.t[t];h.hold[h.p]++;h.hf[h.p]=h.f;next(s,t);}
static int emptyslot(const S&s,int t){for(int k=0;k<K;k++)if(!ld(s,t,sl(t,k)))return sl(t,k);return -1;}
static int realslot(const S&s,int t,int f){for(int k=0;k<K;k++)if(ld(s,t,sl(t,k))==f+1)return sl(t,k);return -1;}
static bool named(const S&s,int p,int f){u16 e=s.m[E0+p];return est(e)>=RES&&ex_(e)==f;}
// what a reader has read must be the page as it is at this instant
static void check(const S&s,int p,const u16*b,const char*torn,const char*old){if(s.ab[p])return;if(b[0]!=b[1])bad(torn);else if(b[0]!=byte_(p,s.mod[p]))bad(old);}
static void exclusive(S&s,int t){Th&h=s.t[t];int f=h.f;
 if(s.xh[f])bad("(1) two exclusive latches");if(s.sh[f])bad("(1) exclusive beside shared");
 if(!named(s,h.p,f))bad("(2) latched, and the page is not in the frame");
 if(curop(s,t).k==UPG){if(s.ab[h.p])bad("(4) upgrade of a page torn by a death");check(s,h.p,h.vb,"(4) upgrade after a torn read","(4) upgrade of a page that has changed");}
 s.xh[f]=t+1;h.lm=1;h.lf=f;h.lp=h.p;next(s,t);}

static S out[64];static const char*outv[64];static int nout; // successors, each with the violation its step committed
static void EM(const S&s){out[nout]=s;outv[nout++]=viol;viol=0;}
// is there another before it?
static bool before(const Th&h,OpK k,u16 w){return w&OWNER||(k!=SHL&&w&TURN&&!h.tn&&!turnignored);}
// heavy barrier, thread after thread in any order; `then` is what follows
static void heavy(const S&s,int t,u8 then){for(int u=0;u<T;u++)if(!(s.t[t].i>>u&1)){S q=s;drain(q,u);q.t[t].i|=1<<u;if(q.t[t].i==(1<<T)-1){q.t[t].i=0;q.t[t].pc=then;}EM(q);}}

// ---------------------------------------------------------------- one step of thread t: all successors into out[]
static void step(const S&s0,int t){
 S s=s0;Th&h=s.t[t];int p=h.p,f=h.f;cov[h.pc]++;OpK kind=curop(s,t).k;
 switch(h.pc){
 case DONE:case DEAD:return;
 case NOPPC:next(s,t);EM(s);return;
 // ---- get, by entries that are one for each page (the table is pins.cpp's business)
 case G_ENT:{u16 e=ld(s,t,E0+p);
   if(est(e)==LOAD)return;                                       // somebody loads it: wait
   if(est(e)==NOENT){if(cas(s,t,E0+p,0,mk(t,LOAD)))h.pc=L_FRAME;EM(s);return;}
   h.f=ex_(e);h.pc=G_TRY;EM(s);return;}
 case G_TRY:{int a=emptyslot(s,t);if(a<0){bad("no empty slot (configure a larger K)");EM(s);return;}if(!st(s,t,a,(f+1)|TRY))return;h.w8=a;h.pc=G_CHK;EM(s);return;}
 case G_CHK:{u16 e=ld(s,t,E0+p);h.pc=e==mk(f,RES)?G_REAL:e==mk(f,CLOS)?G_RESC:G_BACK;EM(s);return;}
 case G_RESC:h.pc=cas(s,t,E0+p,mk(f,CLOS),mk(f,RES))?G_REAL:G_CHK;EM(s);return;
 case G_REAL:if(!st(s,t,h.w8,f+1))return;pinned(s,t);EM(s);return;
 case G_BACK:if(!st(s,t,h.w8,0))return;begin(s,t);EM(s);return;
 case L_FRAME:{bool any=false;drain(s,t);
   for(int g=0;g<NF;g++)if(!s.m[FW+g]){S q=s;q.m[FW+g]=USED|(t+1)<<CL;q.t[t].f=g;q.t[t].pc=loadbump?L_BUMP:L_TORN;EM(q);any=true;}
   if(!any){h.pc=L_FAIL;EM(s);}return;}
 case L_BUMP:drain(s,t);s.m[LW+f]+=VONE;h.pc=L_TORN;EM(s);return;
 case L_TORN:if(s.ab[p]){drain(s,t);if(!torn_nolook)s.m[LW+f]|=LOOK;s.m[FW+f]|=ABAND;}h.pc=L_FILL;EM(s);return; // the torn list knows
 case L_FILL:if(!st(s,t,CT+f*2+h.i,s.m[DK+p*2+h.i]))return;if(++h.i==2){h.i=0;h.pc=L_SLOT;}EM(s);return;
 case L_SLOT:{int a=emptyslot(s,t);if(a<0){bad("no empty slot (configure a larger K)");EM(s);return;}if(!st(s,t,a,(f+1)|TRY))return;h.w8=a;h.pc=L_PUB;EM(s);return;}
 case L_PUB:drain(s,t);s.m[FP+f]=p;if(!cas(s,t,E0+p,mk(t,LOAD),mk(f,RES)))bad("publish failed");h.pc=L_REAL;EM(s);return;
 case L_REAL:if(!st(s,t,h.w8,f+1))return;h.hold[p]++;h.hf[p]=f;h.pc=L_UNCL;EM(s);return;
 case L_UNCL:rm(s,t,FW+f,(1<<CL)-1,0);next(s,t);EM(s);return;
 case L_FAIL:if(!cas(s,t,E0+p,mk(t,LOAD),0))bad("loading entry changed by somebody else");next(s,t);EM(s);return;
 // ---- put
 case P_OFF:{int a=realslot(s,t,f);if(a<0){bad("the pin is gone");EM(s);return;}if(!st(s,t,a,0))return;if(!--h.hold[p])h.hf[p]=0;next(s,t);EM(s);return;}
 // ---- exclusive
 case X_ON:h.pc=ld(s,t,FG)==2?X_LOOK:O_FLAG;EM(s);return;
 case X_LOOK:h.w=ld(s,t,LW+f);if(before(h,kind,h.w)){if(kind==YL){next(s,t);EM(s);return;}h.pc=X_WCNT;}else h.pc=barfirst&&h.w&INUSE?X_BAR:X_CAS;EM(s);return;
 case X_WCNT:if(!countlate)h.c=ld(s,t,WC+f);h.pc=X_WSET;EM(s);return;
 case X_WSET:if(before(h,kind,ld(s,t,LW+f))&&turns&&!(h.w&TURN)){S q=s;if(cas(q,t,LW+f,h.w,h.w|WAIT|TURN)){q.t[t].tn=1;q.t[t].pc=X_SLEEP;EM(q);}}
   if(!before(h,kind,ld(s,t,LW+f))||!cas(s,t,LW+f,h.w,h.w|WAIT)){h.c=0;h.pc=kind==SHL?S_LOOK:X_LOOK;EM(s);return;}h.pc=X_SLEEP;EM(s);return;
 case X_SLEEP:if(countlate&&!h.fl){h.c=ld(s,t,WC+f);h.fl=1;EM(s);return;}if(s.m[WC+f]==h.c)return;h.c=0;h.fl=0;h.pc=kind==SHL?S_LOOK:X_LOOK;EM(s);return;
 case X_CAS: if(!cas(s,t,LW+f,h.w,(h.w&~TURN)|(t+1))){h.pc=X_LOOK;EM(s);return;}
   if(h.w&TURN&&!h.tn)bad("(7) latched in another's turn");h.tn=0;
   if(h.w&INUSE&&!noinuse)h.pc=nobar||barfirst?X_CNT:X_BAR;else exclusive(s,t);
   EM(s);return;
 case X_BAR:heavy(s,t,barfirst?X_CAS:X_CNT);return;
 case X_CNT:if(useclrearly)rm(s,t,LW+f,~INUSE,0);if(nomarks){h.pc=X_OFF;EM(s);return;}h.c=ld(s,t,WC+f);h.i=0;h.pc=X_MARKS;EM(s);return;
 case X_MARKS:if(h.i!=t&&ld(s,t,MK0+h.i)==f+1){h.i=0;h.pc=kind==YL?X_GIVE:X_SLEEPM;EM(s);return;}if(++h.i>=T){h.i=0;h.c=0;h.pc=X_OFF;}EM(s);return;
 case X_SLEEPM:if(s.m[WC+f]==h.c)return;h.pc=X_CNT;EM(s);return;
 case X_OFF:if(!keepinuse&&!useclrearly)rm(s,t,LW+f,~INUSE,0);exclusive(s,t);EM(s);return;
 case X_GIVE:h.w=rm(s,t,LW+f,useclr?~(OWNER|WAIT|INUSE):~(OWNER|WAIT),0);h.c=0;h.pc=h.w&WAIT?X_GIVEN:DONE;if(h.pc==DONE)next(s,t);EM(s);return;
 case X_GIVEN:drain(s,t);s.m[WC+f]++;next(s,t);EM(s);return;
 // ---- upgrade
 case N_LOOK:h.w=ld(s,t,LW+f);if(h.w&(upturn?OWNER:OWNER|TURN)||(h.w>>VS!=h.ver&&!upnover)||(f!=h.vf-1&&!upnoframe)){next(s,t);EM(s);return;}h.pc=N_CAS;EM(s);return;
 case N_CAS:if(!cas(s,t,LW+f,h.w,(h.w&~TURN)|(t+1))){h.pc=N_LOOK;EM(s);return;}if(h.w&TURN)bad("(7) latched in another's turn");if(h.w&INUSE)h.pc=X_BAR;else exclusive(s,t);EM(s);return;
 // ---- shared
 case S_ON:h.pc=ld(s,t,FG)==2?S_LOOK:O_FLAG;EM(s);return;
 case S_LOOK:h.w=ld(s,t,LW+f);h.pc=h.w&OWNER?X_WCNT:h.w&INUSE?S_MARK:markfirst?S_MARK:S_USE;EM(s);return;
 case S_USE:if(cas(s,t,LW+f,h.w,h.w|INUSE))h.pc=markfirst?S_2ND:S_MARK;else h.pc=markfirst?S_BACK:S_LOOK;EM(s);return;
 case S_MARK:if(!st(s,t,MK0+t,f+1))return;h.pc=markfirst&&!(h.w&INUSE)?S_USE:S_2ND;EM(s);return;
 case S_2ND:{u16 w=ld(s,t,LW+f);if(nosecond||((w&INUSE||second_noinuse)&&(!(w&OWNER)||second_noowner))){
     if(s.xh[f])bad("(1) shared beside exclusive");if(!named(s,p,f))bad("(2) latched, and the page is not in the frame");
     s.sh[f]|=1<<t;h.lm=2;h.lf=f;h.lp=p;if(h.tn){h.w8=DONE;h.pc=T_OFF;}else next(s,t);}
   else h.pc=S_BACK;EM(s);return;}
 case S_BACK:if(!st(s,t,MK0+t,0))return;h.pc=nowakeback?S_LOOK:S_BLOOK;EM(s);return;
 case S_BLOOK:h.pc=ld(s,t,LW+f)&OWNER?S_BNOTE:S_LOOK;EM(s);return;
 case S_BNOTE:drain(s,t);s.m[WC+f]++;h.pc=S_LOOK;EM(s);return;
 // ---- the turn's end, without owning.  w8: what follows; DONE: the next operation
 case T_OFF:{if(turnkept){h.tn=0;h.pc=h.w8;if(h.pc==DONE)next(s,t);EM(s);return;}
   u16 w=rm(s,t,LW+f,~(TURN|WAIT),0);h.tn=0;if(w&WAIT&&!turnnotold)h.pc=T_NOTE;else{h.pc=h.w8;if(h.pc==DONE)next(s,t);}EM(s);return;}
 case T_NOTE:drain(s,t);s.m[WC+f]++;h.pc=h.w8;if(h.pc==DONE)next(s,t);EM(s);return;
 // ---- unlatch
 case U_DIRTY:rm(s,t,FW+f,0xffff,DIRTY);h.pc=U_XOFF;EM(s);return;
 case U_XOFF:{drain(s,t);u16 w=s.m[LW+f];bool d=h.lm==3&&dirtylate;if((w&OWNER)!=t+1)bad("the latch is somebody else's");s.m[LW+f]=(w&~(OWNER|WAIT|(keepinuse?INUSE:0)))+(nover?0:VONE);
   s.xh[f]=0;h.lm=h.lf=h.lp=0;h.pc=d?U_XDIRTY:U_XNOTE;if(!(w&WAIT)||nowake){if(d)h.w8=1;else{next(s,t);EM(s);return;}}EM(s);return;}
 case U_XDIRTY:rm(s,t,FW+f,0xffff,DIRTY);if(h.w8)next(s,t);else h.pc=U_XNOTE;EM(s);return;
 case U_XNOTE:drain(s,t);s.m[WC+f]++;next(s,t);EM(s);return;
 case U_SOFF:if(!st(s,t,MK0+t,0))return;s.sh[f]&=~(1<<t);h.lm=h.lf=h.lp=0;if(nowake){next(s,t);EM(s);return;}h.pc=U_SLOOK;EM(s);return;
 case U_SLOOK:if(ld(s,t,LW+f)&OWNER)h.pc=U_SNOTE;else next(s,t);EM(s);return;
 case U_SNOTE:drain(s,t);s.m[WC+f]++;next(s,t);EM(s);return;
 // ---- under a latch
 case M_0:{u16 v=ld(s,t,CT+f*2);if(!st(s,t,CT+f*2,v+1))return;s.mod[p]=(v+1)&0xfff;h.pc=M_1;EM(s);return;}
 case M_1:{u16 v=ld(s,t,CT+f*2+1);if(!st(s,t,CT+f*2+1,v+1))return;h.lm=3;next(s,t);EM(s);return;}
 case R_0:h.cp[0]=ld(s,t,CT+f*2);h.pc=R_1;EM(s);return;
 case R_1:h.cp[1]=ld(s,t,CT+f*2+1);check(s,p,h.cp,"(1) torn under a latch","(1) old under a latch");next(s,t);EM(s);return;
 // ---- peek, unchanged
 case V_ON:h.pc=ld(s,t,FG)==2?V_E1:O_FLAG;EM(s);return;
 case V_E1:h.e=ld(s,t,E0+p);if(!(est(h.e)==RES||(closing&&est(h.e)==CLOS))){next(s,t);EM(s);return;}h.f=ex_(h.e);h.pc=peekwordlate?V_E2:V_W;EM(s);return;
 case V_W:h.w=ld(s,t,LW+f);if(h.w&OWNER&&!peeknoowner){next(s,t);EM(s);return;}h.pc=h.w&LOOK&&!nolook?V_AB:peekno2nd||peekwordlate?V_R0:V_E2;EM(s);return;
 case V_AB:if(ld(s,t,FW+f)&ABAND){next(s,t);EM(s);return;}h.pc=peekno2nd||peekwordlate?V_R0:V_E2;EM(s);return;
 case V_E2:{u16 e=ld(s,t,E0+p);if(!(ex_(e)==f&&(est(e)==RES||(closing&&est(e)==CLOS)))){next(s,t);EM(s);return;}h.pc=peekwordlate?V_W:V_R0;EM(s);return;}
 case V_R0:h.vb[0]=ld(s,t,CT+f*2);h.pc=V_R1;EM(s);return;
 case V_R1:h.vb[1]=ld(s,t,CT+f*2+1);h.vf=f+1;h.ver=h.w>>VS;next(s,t);EM(s);return;
 case C_W:{u16 w=ld(s,t,LW+f);if((!(w&OWNER)||unchnoowner)&&w>>VS==h.ver){
     if(s.ab[h.vp])bad("(3) unchanged, of a page torn by a death");
     check(s,h.vp,h.vb,"(3) unchanged after a torn read","(3) unchanged, and the page has changed");
     if(!named(s,h.vp,f))bad("(3) unchanged, and the page has left the frame");}
   next(s,t);EM(s);return;}
 // ---- eviction, delete.  fl: 1 busy, 2 written; w8: the flag
 case E_CLAIM:{drain(s,t);if(evownerfirst)h.w=s.m[LW+f]&OWNER;
   u16 w=s.m[FW+f];if(!w){next(s,t);EM(s);return;}if(claimer(w)>=0){if(kind==DEL){return;}next(s,t);EM(s);return;}
   if(evflagfirst||bumpflagfirst)h.w8=ld(s,t,FG);
   s.m[FW+f]|=(t+1)<<CL;h.pc=E_CLOSE;EM(s);return;}
 case E_CLOSE:{h.p=p=ld(s,t,FP+f);
   if(kind==EVICT&&s.m[E0+p]==mk(f,CLOS)){h.pc=E_WORD;drain(s,t);EM(s);return;}   // evictable: scanned by another
   if(!cas(s,t,E0+p,mk(f,RES),mk(f,CLOS))){if(s.m[E0+p]!=mk(f,CLOS)){bad("close failed under the claim");EM(s);return;}drain(s,t);}
   if(evmarksfirst){for(int u=0;u<T;u++)if(ld(s,t,MK0+u)==f+1)h.fl=1;}
   h.pc=E_BAR;EM(s);return;}
 case E_BAR:heavy(s,t,E_SCAN);return;
 case E_SCAN:{u16 v=ld(s,t,SL+h.i);bool mine=kind==DEL&&h.i/K==t&&v==f+1;
   if((v&(TRY-1))==f+1&&!(mine&&!h.self++))h.fl|=1;
   if(++h.i>=T*K){h.i=0;h.pc=E_FLAG;}EM(s);return;}
 case E_FLAG:if(!evflagfirst&&!bumpflagfirst)h.w8=ld(s,t,FG);h.pc=h.fl&1?E_REOP:h.w8?(kind==EVICT?(evnomarks||evmarksfirst):delnomarks)?E_OWNER:E_MARKS:E_WORD;EM(s);return;
 case E_MARKS:if(ld(s,t,MK0+h.i)==f+1){h.fl|=1;h.i=0;h.pc=E_REOP;EM(s);return;}if(++h.i>=T){h.i=0;h.pc=E_OWNER;}EM(s);return;
 case E_OWNER:h.pc=(!evnoowner&&!evownerfirst&&ld(s,t,LW+f)&OWNER)||h.w?E_REOP:E_WORD;h.w=0;EM(s);return;
 case E_WORD:{u16 w=ld(s,t,FW+f);
   if(kind==EVICT&&lazy&&!(w&DIRTY)){S q=s;q.t[t].pc=E_UNCL;EM(q);}
   h.pc=kind==EVICT&&w&DIRTY?E_CLR:E_SFLAG;EM(s);return;}
 case E_CLR:rm(s,t,FW+f,~DIRTY,WRITING);h.pc=E_COPY;EM(s);return;
 case E_COPY:h.cp[h.i]=ld(s,t,CT+f*2+h.i);if(++h.i==2){h.i=0;h.pc=E_STILL;}EM(s);return;
 case E_STILL:h.pc=cas(s,t,E0+p,mk(f,CLOS),mk(f,CLOS))?E_WRITE:E_FAILD;EM(s);return;
 case E_FAILD:rm(s,t,FW+f,~WRITING,DIRTY);h.cp[0]=h.cp[1]=0;h.pc=E_REOP;EM(s);return;
 case E_WRITE:drain(s,t);if(h.cp[0]!=h.cp[1]&&!s.ab[p])bad("(5) torn image written by an eviction");
   s.m[DK+p*2]=h.cp[0];s.m[DK+p*2+1]=h.cp[1];h.cp[0]=h.cp[1]=0;h.pc=E_WDONE;EM(s);return;
 case E_WDONE:rm(s,t,FW+f,~WRITING,0);h.pc=E_WORD;EM(s);return;
 case E_SFLAG:if(!bumpflagfirst)h.w8=ld(s,t,FG);h.pc=h.w8&&!(kind==DEL?delnobump:evnobump)&&!evbumplate?E_BUMP:E_FREE;EM(s);return;
 case E_BUMP:drain(s,t);s.m[LW+f]+=VONE;if(evclr)s.m[LW+f]&=~INUSE;h.pc=E_FREE;EM(s);return;
 case E_FREE:{if(!cas(s,t,E0+p,mk(f,CLOS),0)){h.fl|=1;h.pc=E_REOP;EM(s);return;}
   for(int u=0;u<T;u++)if(s.t[u].hold[p]&&s.t[u].hf[p]==f&&!(kind==DEL&&u==t))bad("frame freed while a thread holds a pin");
   if(s.xh[f]||s.sh[f])bad("(2) frame freed while a thread holds a latch");
   {u16 a=s.m[DK+p*2],b=s.m[DK+p*2+1];if(kind==DEL||s.ab[p]){if(a==b){s.mod[p]=a&0xfff;s.ab[p]=0;}}
    else if(a!=byte_(p,s.mod[p])||b!=a)bad("(5) page freed with a modification not on disk");}
   h.pc=evbumplate&&kind==EVICT&&h.w8?E_LATE:kind==DEL?D_SLOT:E_PUTF;EM(s);return;}
 case E_LATE:drain(s,t);s.m[LW+f]+=VONE;h.pc=E_PUTF;EM(s);return;
 case D_SLOT:{int a=realslot(s,t,f);drain(s,t);s.m[a]=0;if(!--h.hold[p])h.hf[p]=0;h.pc=E_PUTF;EM(s);return;}
 case E_PUTF:rm(s,t,LW+f,~LOOK,0);rm(s,t,FW+f,0,0);next(s,t);EM(s);return;
 case E_REOP:cas(s,t,E0+p,mk(f,CLOS),mk(f,RES));h.pc=E_UNCL;EM(s);return;
 case E_UNCL:rm(s,t,FW+f,(1<<CL)-1,0);next(s,t);EM(s);return;
 // ---- sync's image of a page, pinned or not
 case W_CLAIM:{u16 w=ld(s,t,FW+f);if(!w||!(w&DIRTY)){if(h.tn){h.w8=DONE;h.pc=T_OFF;}else next(s,t);EM(s);return;}
   if(claimer(w)>=0){if(!h.tn)return;h.w8=W_CLAIM;h.pc=T_OFF;EM(s);return;}
   if(cas(s,t,FW+f,w,w|(t+1)<<CL))h.pc=W_CLR;EM(s);return;}
 case W_CLR:h.p=ld(s,t,FP+f);if(!syncdirtylate)rm(s,t,FW+f,~DIRTY,WRITING);h.pc=W_LOOK;EM(s);return;
 case W_LOOK:h.w=ld(s,t,LW+f);h.i=0;if(h.tn&&h.w&OWNER&&!s.deaths)bad("(7) latched in a sync's turn");h.pc=h.w&OWNER&&!syncnolook?W_UNDO:W_COPY;EM(s);return;
 case W_COPY:h.cp[h.i]=ld(s,t,CT+f*2+h.i);if(++h.i==2){h.i=0;h.pc=W_SAME;}EM(s);return;
 case W_SAME:{u16 w=ld(s,t,LW+f);h.pc=((w^h.w)&~(INUSE|LOOK|WAIT|TURN))&&!syncnosame?W_LOOK:syncdirtylate?W_LATE:W_WRITE;
   if(h.tn&&h.pc==W_LOOK&&!s.deaths)bad("(7) changed in a sync's turn");if(h.pc==W_LOOK)h.cp[0]=h.cp[1]=0;h.w=0;
   if(h.tn){h.w8=h.pc;h.pc=T_OFF;}EM(s);return;}
 case W_LATE:rm(s,t,FW+f,~DIRTY,WRITING);h.pc=W_WRITE;EM(s);return;
 case W_WRITE:drain(s,t);if(h.cp[0]!=h.cp[1]&&!s.ab[p])bad("(5) torn image written by a sync");
   s.m[DK+p*2]=h.cp[0];s.m[DK+p*2+1]=h.cp[1];h.cp[0]=h.cp[1]=0;h.pc=W_UNCL;EM(s);return;
 case W_UNDO:rm(s,t,FW+f,((1<<CL)-1)&~WRITING,DIRTY);h.w8=W_SLEEP;h.pc=h.tn?T_OFF:W_SLEEP;EM(s);return;   // holding no claim
 case W_SLEEP:if(turns&&!(s.m[LW+f]&TURN)){S q=s;drain(q,t);q.m[LW+f]|=TURN;q.t[t].tn=1;q.t[t].pc=W_TWAIT;EM(q);}
   if(s.m[LW+f]&OWNER)return;begin(s,t);EM(s);return;
 case W_TWAIT:if(s.m[LW+f]&OWNER)return;begin(s,t);EM(s);return;
 case W_UNCL:rm(s,t,FW+f,((1<<CL)-1)&~WRITING,0);next(s,t);EM(s);return;
 // ---- switching on
 case O_FLAG:drain(s,t);if(!s.m[FG])s.m[FG]=1;h.i=0;h.pc=O_BAR;EM(s);return;
 case O_BAR:heavy(s,t,O_ON);return;
 case O_ON:drain(s,t);s.m[FG]=2;if(kind==SWON)next(s,t);else begin(s,t);EM(s);return;
 // ---- recovery of process q.  fl: the process
 case Q_WAIT:{int q=curop(s,t).a;
   if(s.pr>>q&1){next(s,t);EM(s);return;}
   if(!(s.pd>>q&1)){for(int u=0;u<T;u++)if(proc[u]==q&&s.t[u].pc!=DONE)return;next(s,t);EM(s);return;}
   if(s.rl&&s.rl!=t+1&&s.t[s.rl-1].pc!=DEAD)return;
   s.rl=t+1;h.fl=q;h.i=0;h.f=0;h.pc=Q_LAT;EM(s);return;}
 case Q_LAT:{if(f>=NF||rec_nolatch){h.f=0;h.i=0;h.pc=Q_TURN;EM(s);return;}
   int o=(ld(s,t,LW+f)&OWNER)-1;if(o<0||proc[o]!=h.fl){h.f++;EM(s);return;}
   h.pc=rec_nolook||rec_looklate?rec_noaband?Q_OFF:Q_AB:Q_LOOKB;if(rec_abandlate)h.pc=Q_OFF;EM(s);return;}
 case Q_LOOKB:rm(s,t,LW+f,0xffff,LOOK);h.pc=rec_noaband?Q_OFF:Q_AB;EM(s);return;
 case Q_AB:rm(s,t,FW+f,0xffff,ABAND);h.pc=Q_OFF;EM(s);return;
 case Q_OFF:{drain(s,t);u16 w=s.m[LW+f];s.m[LW+f]=(w&~(OWNER|WAIT))+(rec_nover?0:VONE);h.pc=rec_abandlate||rec_looklate?Q_LATE:rec_nowake?Q_LAT:Q_NOTE;EM(s);return;}
 case Q_LATE:rm(s,t,LW+f,0xffff,LOOK);rm(s,t,FW+f,0xffff,ABAND);h.pc=Q_NOTE;EM(s);return;
 case Q_NOTE:drain(s,t);s.m[WC+f]++;h.f++;h.pc=Q_LAT;EM(s);return;
 case Q_TURN:if(f>=NF||rec_noturn){h.f=0;h.pc=Q_SLOT;EM(s);return;}rm(s,t,LW+f,~TURN,0);h.f++;EM(s);return;   // whosever: Q_WAKE wakes
 case Q_SLOT:while(h.i<T*K&&(proc[h.i/K]!=h.fl||!s.m[SL+h.i]))h.i++;if(h.i>=T*K){h.i=0;h.pc=Q_MARK;EM(s);return;}if(!st(s,t,SL+h.i,0))return;h.i++;EM(s);return;
 case Q_MARK:while(h.i<T&&(proc[h.i]!=h.fl||!s.m[MK0+h.i]||rec_nomarks))h.i++;if(h.i>=T){h.i=0;h.f=0;h.pc=rec_nowake?Q_ENT:Q_WAKE;EM(s);return;}if(!st(s,t,MK0+h.i,0))return;h.i++;EM(s);return;
 case Q_WAKE:if(f>=NF){h.f=0;h.pc=Q_ENT;EM(s);return;}drain(s,t);s.m[WC+f]++;h.f++;EM(s);return;
 case Q_ENT:if(h.i>=NP){h.i=0;h.f=0;h.pc=Q_FW;EM(s);return;}{u16 e=ld(s,t,E0+h.i);if(est(e)==LOAD&&proc[ex_(e)]==h.fl)cas(s,t,E0+h.i,e,0);h.i++;EM(s);return;}
 case Q_FW:{if(f>=NF){h.f=0;h.pc=Q_REL;EM(s);return;}u16 w=ld(s,t,FW+f);int o=claimer(w);if(o<0||proc[o]!=h.fl){h.f++;EM(s);return;}
   h.p=p=ld(s,t,FP+f);h.pc=named(s,p,f)?est(s.m[E0+p])==CLOS?Q_REOP:Q_UNCL:Q_FREE;EM(s);return;}
 case Q_REOP:cas(s,t,E0+p,mk(f,CLOS),mk(f,RES));h.pc=Q_UNCL;EM(s);return;
 case Q_UNCL:{drain(s,t);u16 w=s.m[FW+f];if(w&WRITING)w|=DIRTY;s.m[FW+f]=w&((1<<CL)-1)&~WRITING;h.p=0;h.f++;h.pc=Q_FW;EM(s);return;}
 case Q_FREE:rm(s,t,LW+f,~LOOK,0);rm(s,t,FW+f,0,0);h.p=0;h.f++;h.pc=Q_FW;EM(s);return;
 case Q_REL:{drain(s,t);int q=h.fl;s.pr|=1<<q;for(int u=0;u<T;u++)if(proc[u]==q&&s.t[u].pc==DEAD){memset(&s.t[u],0,sizeof(Th));if(prog[u][1].size()){s.t[u].alt=1;begin(s,u);}else s.t[u].pc=DONE;}
   s.rl=0;next(s,t);EM(s);return;}
 default:abort();}
}
// death of process q: all its threads stop at once; what is still in their store buffers is lost (earlier flushes = drained)
static bool die(S&s,int q){if(!(dieMask>>q&1)||(s.pd>>q&1)||s.deaths>=maxDie)return false;bool any=false;
 for(int t=0;t<T;t++)if(proc[t]==q&&s.t[t].pc!=DONE)any=true;
 if(!any)return false;
 for(int t=0;t<T;t++)if(proc[t]==q){
   for(int f=0;f<NF;f++){if(s.xh[f]==t+1){s.xh[f]=0;u16 w=s.m[CT+f*2],x=s.m[CT+f*2+1];int p=s.t[t].lp;if(w!=x||w!=byte_(p,s.mod[p])||s.t[t].lm==3)s.ab[p]=1;}s.sh[f]&=~(1<<t);}
   memset(&s.t[t],0,sizeof(Th));s.t[t].pc=DEAD;}
 s.pd|=1<<q;s.deaths++;return true;}

// ---------------------------------------------------------------- properties
static void invariant(S&s){
 for(int p=0;p<NP;p++){u16 e=s.m[E0+p];if(est(e)>=RES){if(!s.m[FW+ex_(e)])bad("free frame in the table");for(int g=0;g<p;g++)if(est(s.m[E0+g])>=RES&&ex_(s.m[E0+g])==ex_(e))bad("one frame in two entries");}}
 for(int f=0;f<NF;f++){if(s.xh[f]&&s.sh[f])bad("(1) exclusive beside shared");
   if(s.xh[f]||s.sh[f]){bool n=false;for(int p=0;p<NP;p++)n|=named(s,p,f);if(!n)bad("(2) a latched page has left its frame");}}
 for(int t=0;t<T;t++)for(int p=0;p<NP;p++)if(s.t[t].hold[p]&&!named(s,p,s.t[t].hf[p])&&s.t[t].pc!=D_SLOT)bad("pinned page lost its frame");
}
static bool alldone(const S&s){for(int t=0;t<T;t++)if(s.t[t].pc!=DONE||s.t[t].nsb)return false;return true;}
static void terminal(const S&s){
 for(int f=0;f<NF;f++){u16 w=s.m[FW+f],l=s.m[LW+f];bool held=s.xh[f];
  if((l&OWNER)&&!held)bad("(6) a latch is left over");if(l&TURN)bad("(6) a turn is left over");
  if(!w)continue;
  if(claimer(w)>=0)bad("(6) a claim is left over");if(w&WRITING)bad("(6) writing is left over");
  int p=-1;for(int g=0;g<NP;g++)if(named(s,g,f))p=g;
  if(p<0){bad("(6) frame lost");continue;}
  if(s.ab[p]||held)continue;
  if(s.m[CT+f*2]!=s.m[CT+f*2+1]||s.m[CT+f*2]!=byte_(p,s.mod[p]))bad("(5) memory lost a modification");
  if(!(w&DIRTY)&&(s.m[DK+p*2]!=byte_(p,s.mod[p])||s.m[DK+p*2+1]!=s.m[DK+p*2]))bad("(5) clean page differs from disk");}
 for(int t=0;t<T;t++)if(s.m[MK0+t]&&!(s.sh[s.m[MK0+t]-1]>>t&1))bad("(6) a mark is left over");
}

// ---------------------------------------------------------------- exploration
static u64 fp(const S&s){const u8*b=(const u8*)&s;size_t n=sizeof(S),i=0;u64 h=0x9e3779b97f4a7c15ull;
 for(;i+8<=n;i+=8){u64 x;memcpy(&x,b+i,8);h^=x*0xff51afd7ed558ccdull;h=(h<<31|h>>33)*0xc4ceb9fe1a85ec53ull;h^=h>>29;}
 u64 x=0;memcpy(&x,b+i,n-i);h^=x*0xff51afd7ed558ccdull;h^=h>>33;h*=0xff51afd7ed558ccdull;h^=h>>33;h*=0xc4ceb9fe1a85ec53ull;h^=h>>33;return h?h:1;}
struct Ent{u64 h,par;};static Ent*tab;static u64 cap,nst;
static bool insert(u64 h,u64 par){u64 i=h&(cap-1);while(tab[i].h){if(tab[i].h==h)return false;i=(i+1)&(cap-1);}tab[i].h=h;tab[i].par=par;nst++;return true;}
static u64 parent(u64 h){u64 i=h&(cap-1);while(tab[i].h!=h)i=(i+1)&(cap-1);return tab[i].par;}
static u8 who[64];static char how[64]; // successors in out[]; how: 's'tep, 'f'lush, 'd'eath
static void succ(const S&s){nout=0;
 for(int t=0;t<T;t++){int a=nout;step(s,t);for(int i=a;i<nout;i++){who[i]=t;how[i]='s';}
  if(s.t[t].nsb){out[nout]=s;outv[nout]=0;flush1(out[nout],t);who[nout]=t;how[nout++]='f';}}
 if(dieMask)for(int q=0;q<T;q++){out[nout]=s;outv[nout]=0;if(die(out[nout],q)){who[nout]=q;how[nout++]='d';}}
}
static void show(const S&s){static const char*n[]={"-","load","res","CLOS"};printf(" E[");
 for(int p=0;p<NP;p++){u16 e=s.m[E0+p];printf("%s%d ",n[est(e)],ex_(e));}printf("] ");
 for(int f=0;f<NF;f++){u16 w=s.m[FW+f],l=s.m[LW+f];printf("F%d(%s",f,w?"":"free");if(w)printf("c%d%s%s%s",claimer(w)+1,w&DIRTY?" D":"",w&WRITING?" W":"",w&ABAND?" A":"");
  printf(" v%d o%d%s%s%s x%d s%d) ",l>>VS,l&OWNER,l&WAIT?" wait":"",l&INUSE?" use":"",l&LOOK?" look":"",s.xh[f],s.sh[f]);}
 for(int t=0;t<T;t++){printf("t%d[",t);for(int k=0;k<K;k++){u16 v=s.m[sl(t,k)];if(!v)printf("-");else printf("F%d%s",(v&(TRY-1))-1,v&TRY?"?":"");}if(s.m[MK0+t])printf(" m%d",s.m[MK0+t]-1);
  if(s.t[t].nsb){printf(" |");for(int i=0;i<s.t[t].nsb;i++){int a=s.t[t].sa[i];printf(" %s%d=%x",a>=CT?"ct":a>=MK0?"mk":"sl",a>=CT?a-CT:a>=MK0?a-MK0:a-SL,s.t[t].sv[i]);}}printf("] ");}
 printf("ct");for(int f=0;f<NF;f++)printf(" %x/%x",s.m[CT+2*f],s.m[CT+2*f+1]);printf(" dk");for(int p=0;p<NP;p++)printf(" %x/%x",s.m[DK+2*p],s.m[DK+2*p+1]);printf(" fg%d\n",s.m[FG]);}
static S init;
static void trace(u64 h){vector<u64> ch;while(h){ch.push_back(h);h=parent(h);}S s=init;printf("init               ");show(s);
 for(int i=(int)ch.size()-2;i>=0;i--){const char*sv=viol;succ(s);int g=-1;for(int j=0;j<nout;j++)if(fp(out[j])==ch[i]){g=j;break;}viol=sv;
  if(g<0){printf("??\n");return;}
  printf("%3d %c%d %-8s op%d",(int)ch.size()-1-i,how[g]=='d'?'Q':'T',who[g],how[g]=='f'?"(flush)":how[g]=='d'?"DIES":pcn[s.t[who[g]].pc],s.t[who[g]].op);s=out[g];show(s);}}
static void parse(const char*c){int t=0,alt=0;for(;*c;){if(*c==';'){t++;alt=0;c++;continue;}if(*c=='|'){alt=1;c++;continue;}if(*c==' '){c++;continue;}
  char k=*c++;int a=0;if(*c>='0'&&*c<='9')a=*c++-'0';
  static const char*l="GPXYSUMRVCNEWDOQ.";static const OpK o[]={GET,PUT,XL,YL,SHL,UNL,MODI,READ,PEEK,UNCH,UPG,EVICT,WSYNC,DEL,SWON,RECOV,NOP};
  const char*at=strchr(l,k);if(!at||t>=MT){fprintf(stderr,"bad spec at %c\n",k);exit(2);}prog[t][alt].push_back({o[at-l],a});}
 T=t+1;}
int main(int ac,char**av){
 string spec;int resident=1;bool covf=false;cap=(u64)1<<24;
 map<string,int*> num={{"K",&K},{"NF",&NF},{"NP",&NP},{"SB",&SBCAP},{"die",&dieMask},{"maxdie",&maxDie},{"res",&resident},{"on",&on},{"ver",&ver0}};
#define B(x) {#x,&x}
 map<string,bool*> names={B(lazy),B(loadbump),B(closing),B(keepinuse),B(nobar),B(nomarks),B(barfirst),B(noinuse),B(nosecond),B(second_noinuse),B(second_noowner),B(markfirst),B(useclr),B(useclrearly),B(evclr),
  B(nover),B(dirtylate),B(nosetdirty),B(nowake),B(nowakeback),B(countlate),B(peeknoowner),B(peekno2nd),B(peekwordlate),B(nolook),B(unchnoowner),B(upnoframe),B(upnover),B(upunpinned),
  B(evnoowner),B(evownerfirst),B(evnomarks),B(evmarksfirst),B(evflagfirst),B(evnobump),B(evbumplate),B(delnobump),B(delnomarks),B(syncnolook),B(syncnosame),B(syncdirtylate),
  B(bumpflagfirst),B(turns),B(turnignored),B(upturn),B(turnnotold),B(turnkept),B(rec_noturn),B(rec_nolatch),B(rec_nover),B(rec_abandlate),B(rec_noaband),B(rec_nolook),B(rec_looklate),B(rec_nomarks),B(rec_nowake),B(torn_nolook),{"cov",&covf},{"quiet",&quietf}};
 for(int i=1;i<ac;i++){string a=av[i];auto e=a.find('=');string k=a.substr(0,e),v=e==string::npos?"":a.substr(e+1);
  if(k=="spec")spec=v;else if(k=="cap")cap=(u64)1<<atoi(v.c_str());else if(k=="procs"){for(size_t j=0;j<v.size()&&j<MT;j++)proc[j]=v[j]-'0';}
  else if(num.count(k))*num[k]=atoi(v.c_str());else if(names.count(a))*names[a]=true;else{fprintf(stderr,"? %s\n",a.c_str());return 2;}}
 parse(spec.c_str());
 if(K>MK||NF>MF||NP>MPG||SBCAP>MSB||T>MT){fprintf(stderr,"too large\n");return 2;}
 tab=(Ent*)mmap(0,cap*sizeof(Ent),PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE,-1,0);
 memset((void*)&init,0,sizeof init);init.m[FG]=on?2:0;init.m[LW]=ver0<<VS;
 for(int p=0;p<NP;p++)init.m[DK+p*2]=init.m[DK+p*2+1]=byte_(p,0);
 for(int f=0;f<NF;f++)if(resident>>f&1){init.m[E0+f]=mk(f,RES);init.m[FP+f]=f;init.m[FW+f]=USED;init.m[CT+f*2]=init.m[CT+f*2+1]=byte_(f,0);}
 for(int t=0;t<T;t++)begin(init,t);
 vector<S> cur,nxt;cur.push_back(init);insert(fp(init),0);u64 trans=0,term=0;int depth=0;
 auto fail=[&](const char*at,u64 h){printf("VIOLATION %s%s  depth %d states %lu | %s\n",at,viol,depth,nst,spec.c_str());if(!quietf)trace(h);exit(1);};
 while(!cur.empty()){nxt.clear();
  for(auto&s:cur){u64 h=fp(s);viol=0;succ(s);int n=nout;trans+=n;
   if(viol)fail("(here) ",h);
   for(int i=0;i<n;i++){viol=outv[i];invariant(out[i]);u64 hq=fp(out[i]);if(insert(hq,h))nxt.push_back(out[i]);if(viol){depth++;fail("",hq);}}
   viol=0;
   if(alldone(s)){term++;terminal(s);if(viol)fail("at the end: ",h);}
   else{bool goes=false;for(int i=0;i<n;i++)goes|=how[i]!='d';if(!goes){viol="(6) deadlock";fail("",h);}}
   if(nst>cap/100*85){printf("TABLE FULL (not exhaustive) depth %d states %lu | %s\n",depth,nst,spec.c_str());exit(3);}}
  cur.swap(nxt);depth++;}
 if(covf){for(int i=0;i<(int)(sizeof pcn/sizeof*pcn);i++)printf("%s=%lu ",pcn[i],cov[i]);printf("\n");}
 printf("OK states %lu transitions %lu depth %d ends %lu | %s\n",nst,trans,depth-1,term,spec.c_str());
}
