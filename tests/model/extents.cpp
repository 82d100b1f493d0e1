// extents.cpp - exhaustive explorer of how a number of the pool's goes from file to file, beside pins.cpp (src/io/extent.h).
//   build:  g++ -O3 -std=c++17 -o extents extents.cpp   (README.md beside this file)
//   usage:  ./extents 'spec=A P;B P;E' [f=1 ...mutations]
// One number of the pool, and files A and B, each of which has one page that needs it.  spec: threads separated by ';'.  Ops:
//   A B  get that file's page: by the fast path where it is in memory, else by the slow one; gives up if the number is in use
//   P    put what was got last       E  evict what is in the frame, if it is not pinned
//   a b  close that file: its page is dropped, its number free (nobody gets its page afterwards, and its pins are put)
//
// THE PROTOCOL (P = plain store, which waits in the thread's store buffer, x86-TSO; L = locked operation)
//  get: map of the file -> number, 0: have (below).  Entry resident: P slot; entry again, resident; map again: the file's: pinned.  Else P slot off, again.
//    No entry: L loading; map again: the file's: load: bytes of the file that the number is of; slot P; L resident.  Else L no entry, again.
//  have, with the lock: the number is nobody's: it is the file's.  Another's, which is not closing, and no entry: map of that <- 0 (L), heavy barrier, entry: none: it is the file's; else map back.
//  evict: claim, entry closing (L), heavy barrier, slots: one: L resident; none: L no entry; claim off.    A get rescues a closing entry (L resident).
//  close: its calls are over. With the lock: it is closing. By its map, without: wait until there is no load, and no claim; evict, and while a slot has the frame, try again. With the lock:
//    the number is nobody's.  (Were it not said that it is closing, its map might have no number just then, which comes back when a page is found in memory after all.)
//    (Another file's get may have found the page by a number that it has no more: its slot must go before the number may come back to it.)
// What must not be: a get of A has B's bytes; a page is loaded by a number that is not its file's; a pinned frame is emptied; an entry of a page that nobody has.
#include <cstdio>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>
using namespace std; typedef uint8_t u8;

enum {MT=3,MSB=3}; static int T;
// mutations
static bool nopinlook,noloadlook,nobar,noclear,lookfirst,restorenot,closeearly,closenoscan,closenotfirst,noentrylook,evnobar;
enum Ent {NO,LOAD,RES,CLOS};
enum PC {DONE,G_MAP,G_ENT,G_SLOT,G_CHK,G_RESC,G_MAP2,G_BACK,L_INS,L_MAP2,L_UND,L_READ,L_SLOT,L_PUB,H_LOCK,H_CLR,H_BAR,H_LOOK,H_GIVE,H_BACK,H_UNL,P_OFF,E_CLOSE,E_BAR,E_SCAN,E_FREE,E_REOP,C_WAIT,C_SAY,C_CLOSE,C_BAR,C_SCAN,C_OUT,C_FREE};
struct Th{u8 pc,op,file,holds,nsb,sb[MSB];};  // holds: file + 1 whose page it has pinned
struct S{u8 map[2],of,ent,byte,slot[MT],lock,claim,closed,closing;Th t[MT];  // map: 1: the file has the number; of: file + 1; byte: file + 1 of what is in the frame; slot: 1 pinned or trying
 bool operator==(const S&o)const{return !memcmp(this,&o,sizeof o);}};
struct H{size_t operator()(const S&s)const{uint64_t h=14695981039346656037ull;const u8*p=(const u8*)&s;for(size_t i=0;i<sizeof s;i++)h=(h^p[i])*1099511628211ull;return h;}};
static vector<string> prog; static const char*viol;
static void drain(S&s,int t){for(int i=0;i<s.t[t].nsb;i++)s.slot[t]=s.t[t].sb[i];s.t[t].nsb=0;memset(s.t[t].sb,0,MSB);}
static bool st(S&s,int t,u8 v){Th&h=s.t[t];if(h.nsb==MSB)return false;h.sb[h.nsb++]=v;return true;}
static void begin(S&s,int t){Th&h=s.t[t];for(;;){if(h.op>=prog[t].size()){h.pc=DONE;return;}char o=prog[t][h.op];
 if(o=='A'||o=='B'){h.file=o-'A';h.pc=G_MAP;return;}
 if(o=='P'){if(h.holds){h.pc=P_OFF;return;}}
 if(o=='E'){h.pc=E_CLOSE;return;}
 if(o=='a'||o=='b'){h.file=o-'a';h.pc=C_WAIT;return;}
 h.op++;}}
static void next(S&s,int t){s.t[t].op++;begin(s,t);}
static bool pinned(const S&s){for(int i=0;i<T;i++)if(s.slot[i])return true;return false;}
static bool heavy(S&s,int t){(void)t;for(int i=0;i<T;i++)drain(s,i);return true;}
static void got(S&s,int t){Th&h=s.t[t];if(s.byte!=h.file+1)viol="a get has another file's page";h.holds=h.file+1;next(s,t);}
// One step; false: it waits.
static bool step(S&s,int t){Th&h=s.t[t];u8&pc=h.pc;
 switch(pc){
 case G_MAP:if((s.closed>>h.file)&1){next(s,t);return true;}pc=s.map[h.file]?G_ENT:H_LOCK;return true;
 case G_ENT:pc=s.ent==NO?L_INS:s.ent==LOAD?G_MAP:G_SLOT;return s.ent!=LOAD;
 case G_SLOT:if(!st(s,t,1))return false;pc=G_CHK;return true;
 case G_CHK:pc=s.ent==RES?G_MAP2:s.ent==CLOS?G_RESC:G_BACK;return true;
 case G_RESC:drain(s,t);if(s.ent==CLOS){s.ent=RES;pc=G_MAP2;}else pc=G_CHK;return true;
 case G_MAP2:if(nopinlook||s.map[h.file])got(s,t);else pc=G_BACK;return true;
 case G_BACK:if(!st(s,t,0))return false;pc=G_MAP;return true;
 case L_INS:drain(s,t);if(s.ent!=NO){pc=G_MAP;return true;}s.ent=LOAD;pc=L_MAP2;return true;
 case L_MAP2:pc=noloadlook||s.map[h.file]?L_READ:L_UND;return true;
 case L_UND:drain(s,t);s.ent=NO;pc=G_MAP;return true;
 case L_READ:if(s.of!=h.file+1)viol="a page is loaded by a number that is another file's";s.byte=s.of;pc=L_SLOT;return true;
 case L_SLOT:if(!st(s,t,1))return false;pc=L_PUB;return true;
 case L_PUB:drain(s,t);s.ent=RES;got(s,t);return true;
 case H_LOCK:if(s.lock)return false;drain(s,t);s.lock=t+1;
  if(s.map[h.file])pc=H_UNL;else if(!s.of)pc=H_GIVE;else if((s.closing>>(s.of-1)&1)||(s.ent!=NO&&!noentrylook)){s.lock=0;next(s,t);}else pc=lookfirst?H_LOOK:H_CLR;return true;
 case H_CLR:drain(s,t);if(!noclear)s.map[s.of-1]=0;pc=lookfirst?H_GIVE:nobar?H_LOOK:H_BAR;return true;
 case H_BAR:heavy(s,t);pc=H_LOOK;return true;
 case H_LOOK:if(s.ent!=NO&&!noentrylook)pc=lookfirst?H_BACK:H_BACK;else pc=lookfirst?H_CLR:H_GIVE;return true;
 case H_GIVE:drain(s,t);if(noclear&&s.of)s.map[s.of-1]=0;s.of=h.file+1;s.map[h.file]=1;pc=H_UNL;return true;
 case H_BACK:drain(s,t);if(!restorenot)s.map[s.of-1]=1;s.lock=0;next(s,t);return true; // EFBIG
 case H_UNL:s.lock=0;pc=G_MAP;return true;
 case P_OFF:if(!st(s,t,0))return false;h.holds=0;next(s,t);return true;
 case E_CLOSE:drain(s,t);if(s.ent!=RES||s.claim){next(s,t);return true;}s.claim=t+1;s.ent=CLOS;pc=evnobar?E_SCAN:E_BAR;return true;
 case E_BAR:heavy(s,t);pc=E_SCAN;return true;
 case E_SCAN:pc=pinned(s)?E_REOP:E_FREE;return true;
 case E_FREE:if(s.ent==CLOS){for(int i=0;i<T;i++)if(s.t[i].holds)viol="the frame of a page that is pinned is emptied";s.ent=NO;s.byte=0;}s.claim=0;next(s,t);return true;
 case E_REOP:if(s.ent==CLOS)s.ent=RES;s.claim=0;next(s,t);return true;
 case C_WAIT:for(int i=0;i<T;i++)if(i!=t&&((s.t[i].holds==h.file+1)||(s.t[i].pc!=DONE&&s.t[i].pc<P_OFF&&s.t[i].file==h.file)))return false; // its calls are over, as the caller sees to
  s.closed|=1<<h.file;pc=closenotfirst?C_CLOSE:C_SAY;return true;
 case C_SAY:if(s.lock)return false;drain(s,t);s.closing|=1<<h.file;pc=C_CLOSE;return true;
 case C_CLOSE:if(!s.map[h.file]||s.ent==NO||closeearly){pc=C_FREE;return true;}
  if(s.claim||s.ent!=RES)return false;drain(s,t);s.claim=t+1;s.ent=CLOS;pc=closenoscan?C_OUT:C_BAR;return true;
 case C_BAR:heavy(s,t);pc=C_SCAN;return true;
 case C_SCAN:if(pinned(s)){if(s.ent==CLOS)s.ent=RES;s.claim=0;pc=C_CLOSE;}else pc=C_OUT;return true;
 case C_OUT:drain(s,t);if(s.ent==CLOS){s.ent=NO;s.byte=0;}s.claim=0;pc=C_CLOSE;return true;
 case C_FREE:if(s.lock)return false;drain(s,t);if(s.of==h.file+1){s.map[h.file]=0;s.of=0;}next(s,t);return true;
 }return false;}
int main(int c,char**v){string spec;for(int i=1;i<c;i++){string a=v[i];
 if(a.substr(0,5)=="spec=")spec=a.substr(5);
#define M(x) else if(a==#x)x=true;
 M(nopinlook)M(noloadlook)M(nobar)M(noclear)M(lookfirst)M(restorenot)M(closeearly)M(closenoscan)M(closenotfirst)M(noentrylook)M(evnobar)
 else if(a!="quiet"&&a.substr(0,4)!="cap=")return fprintf(stderr,"no such option: %s\n",v[i]),2;}
 string one;for(char ch:spec+";"){if(ch==';'){prog.push_back(one);one="";}else if(ch!=' ')one+=ch;}
 T=(int)prog.size();if(T>MT)return 2;
 S s;memset(&s,0,sizeof s);for(int t=0;t<T;t++)begin(s,t);
 unordered_set<S,H> seen;vector<S> q{s};seen.insert(s);size_t at=0;
 for(;at<q.size();at++){S now=q[at];bool any=false,done=true;
  for(int t=0;t<T;t++){
   if(now.t[t].nsb){S n=now;n.slot[t]=n.t[t].sb[0];n.t[t].nsb--;for(int i=0;i<n.t[t].nsb;i++)n.t[t].sb[i]=n.t[t].sb[i+1];n.t[t].sb[n.t[t].nsb]=0;any=true;if(seen.insert(n).second)q.push_back(n);}
   if(now.t[t].pc==DONE)continue;done=false;
   S n=now;if(!step(n,t))continue;any=true;
   if(viol){printf("VIOLATION %s  states %zu\n",viol,q.size());return 1;}
   if(seen.insert(n).second)q.push_back(n);}
  if(!any&&done){const char*w=0;for(int t=0;t<T;t++)if(now.slot[t]&&!now.t[t].holds)w="a pin is left";
   if(now.ent==RES&&(!now.of||now.byte!=now.of))w="a page is in memory by a number that is not its file's";
   if(now.of&&!now.map[now.of-1])w="a number is lost";
   if(now.ent==LOAD||now.ent==CLOS)w="an entry is left";
   if(w){printf("VIOLATION at the end: %s  states %zu\n",w,q.size());return 1;}}
  if(!any&&!done){bool waits=false;for(int t=0;t<T;t++)waits|=now.t[t].pc==C_WAIT;if(!waits){printf("VIOLATION nobody goes on  states %zu\n",q.size());return 1;}}
 }
 printf("OK %zu states\n",q.size());return 0;}
