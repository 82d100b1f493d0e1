// pins.cpp - exhaustive explorer (x86-TSO) for the "a pin is always a slot" buffer-pool protocol.
//   build:  g++ -O3 -std=c++17 -o pins pins.cpp   (README.md beside this file)
//   usage:  ./pins 'spec=G0 P0;E0' [K=1 NS=1 NF=1 NP=1 SB=3 res=1 cap=26 solo=0 procs=00 die=0 maxdie=1 einv=2 tag=0 sw=0 ...mutations]
// spec: threads separated by ';'. Ops (p page, f frame, q process, m mailbox):
//   Gp get   Pp put   Dp modify + set dirty + put   gp.m hand my pin of p over   tp.m take a pin of p over
//   Ef evict frame f (to the free pool)   S sync   Bf illegal put of frame f   X thread end   A adopt ownerless stripes of my process and freed ones
//   Rq recover process q   N nothing (a point to die at);  "prog|prog2": prog2 is run by a new thread that gets the
//   same id once the recoverer has released it.
// procs=001: process of each thread.  die=mask of processes that may die, at any step, maxdie in all.
// res=mask of frames resident at the start (frame f holds page f).  cap=log2 of the state table (16 bytes an entry).
// chain: slots k>=1 form a chained stripe with a link word (latelink, earlylist: its mutations).
// solo=n: in each n-th state run each thread alone, to check that stalled threads block nobody.
// einv: what a put does after a scan that found nothing: 0 EINVAL at once, 1 EINVAL after two equal scans
//   (tag=bits of fill tag in the slot word), 2 claim/close/barrier/scan proves it (right), 3 scan for ever.
// fresh: a get takes an empty slot of its own when there is one, even for a frame that it has pinned already.
// stay: a dirty victim's entry stays closing while its copy is written, and is freed then, unless a get came first.
// lazy: an evictor may leave a clean, unpinned victim unclaimed and closing; whoever claims it next frees it, no barrier
//   needed, unless a get came first (lazybar: it leaves it so before its barrier and scan).
// sw: own decrements/increments plain until a foreign put: 0 never, 1 in-operation marks + grace, 2 restartable sequence.
//
// THE PROTOCOL (what the unmutated model does; P = plain store, L = locked operation)
//  slot word {frame,count,trying}, 0 = empty.  Owner only: empty ->P {F,1,try} (re-load of the entry) ->P {F,1} or ->P empty;
//    {F,n} ->L {F,n+1}.  Anybody of the same process, real slots only: {F,n} ->L {F,n-1}.  Trying slots: the owner alone.
//  get: entry resident/closing and an own real slot of F: L n+1, no re-check.  Else P try, re-load: same and resident: P real;
//    same and closing: L closing->resident (rescue), P real; anything else: P empty, start over.
//  put: L own slot; none: scan the stripes of my process for a real slot of F, L; none: claim, close, barrier, scan, reopen:
//    nothing seen and not rescued = EINVAL; otherwise again.
//  stripe owner word: L adopt; P {process,nobody} at thread end (pins stay); P 0 by the recoverer (slots cleared before).
//  frame word {claim,dirty,writing,owner}; claim with owner 0 = free; a frame is taken and returned by ONE locked operation on it.
//  evictor / sync / insertion / recovery: see the step labels V_, W_, S_, M_/L_, R_ below.
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
using namespace std; typedef uint8_t u8; typedef uint64_t u64;

// ---------------------------------------------------------------- configuration
enum {MT=4,MF=2,MPG=3,ME=3,MK=2,MSB=4};
static int T=1,K=1,NS=1,NF=1,NP=1,SBCAP=3,solo_mod=0,einv=2,tagbits=0,sw=0,dieMask=0,maxDie=1; static u8 proc[MT];
// mutations and variants; see 'names' in main
static bool nobar,barfirst,norecheck,noclaim,noskip,notry,debt,plainput,plaininc,unpinfirst,syncclr,clrearly,norestore,noclose2,nobar2,
 norescan,nokill,xproc,loadreal,realcas,ownres,anon,pglate,rec_noslots,rec_nodirty,rec_split,rec_unclfirst,rec_reopenlast,rec_idfirst,rec_owfirst,
 rec_slotlast,rec_noentry,rec_noframe,rec_nolock,rec_reopenfree,nofail,swnograce,swnobar,dirtyfirst,nowriting,backcas,covf,nosum,chain,latelink,earlylist,lenient,fresh,stay,noreopen,lazy,lazybar; // nosum: do not check the sums in every state (what else breaks?); lenient: an evictor that cannot close drops its claim instead of reporting it

// ---------------------------------------------------------------- memory
enum {E0=0,FW=E0+ME,PG=FW+MF,SL=PG+MF,OW=SL+MT*MK,IN=OW+MT,CT=IN+MT,DK=CT+MF*2,MB=DK+MPG*2,FG=MB+4,LK=FG+1,NM=LK+MT};
// table entry: valid | x(3) | page(2) | state(2); x = owner thread while tentative/loading, else the frame
enum {TENT=0,LOAD=1,RES=2,CLOS=3};
static inline u8 mk(int p,int x,int st){return 0x80|x<<4|p<<2|st;}
static inline int est(u8 e){return e&3;} static inline int epg(u8 e){return e>>2&3;} static inline int ex(u8 e){return e>>4&7;}
// frame word: claim | dirty | writing | owner+1 of the claim (3).  claim with owner 0 = the frame is free
enum {CLAIM=1,DIRTY=2,WRITING=4,OWNER=0x38,FREE=CLAIM};
static inline u8 claimed_by(int t){return CLAIM|(anon?7:t+1)<<3;}
// slot word: frame+1(2) | count(2) | trying(1) | tag(3); frame 0 = empty
enum {TRY=0x10};
static inline u8 mks(int f,int c,int tr,u8 old){u8 tag=((old>>5)+1)&((1<<tagbits)-1);return (f+1)|c<<2|(tr?TRY:0)|tag<<5;}
static inline int sfr(u8 w){return (w&3)-1;} static inline int scn(u8 w){return w>>2&3;}
static inline u8 sdec(u8 w){return scn(w)==1?(w&0xe0):(u8)(w-4);} static inline u8 sclr(u8 w){return w&0xe0;}

struct Th{u8 pc,op,alt,i,k,e,j,f,p,w,own,fl,z;u8 cp[2];u8 hold[MPG],hf[MPG];u8 c[MT*MK];u8 nsb,sa[MSB],sv[MSB];};
struct S{u8 m[NM];u8 rp[MT][MF];      // ghost: real pins of each process
 u8 need[MPG][2],sn[MT][MPG][2];      // ghost: put modifications; the same when that thread's sync began
 u8 pd,pr,deaths,rl;                  // dead processes, recovered ones, number of deaths, recovery lock (robust)
 Th t[MT];};
enum OpK{END,GET,PUT,PUTD,GIVE,TAKE,EVICT,SYNC,BADPUT,EXIT,ADOPT,RECOV,NOP};
struct Op{OpK k;int a,b;}; static vector<Op> prog[MT][2]; static int writer[MT];
#define PCS X(DONE)X(DEAD)X(G_SCAN)X(G_OWN)X(G_LINK)X(G_INC)X(G_TRY)X(G_CHECK)X(G_RESC)X(G_REAL)X(G_BACK)\
 X(M_PLACE)X(M_RES)X(M_KILL)X(M_RETR)X(M_PROM)X(L_FRAME)X(L_FILL)X(L_SLOT)X(L_PUB)X(L_REAL)X(L_PGL)X(L_UNCL)X(L_FAIL)X(L_FREE)\
 X(P_MOD)X(P_DCHK)X(P_DSET)X(P_OWN)X(P_DEC)X(P_SCAN)X(P_FDEC)X(P_PROVE)X(F_SET)X(F_BAR)X(F_WAIT)X(F_RDY)X(I_IN)X(I_FLAG)X(I_LOAD)X(I_ST)X(I_OUT)\
 X(T_GIVE)X(T_TAKE)X(V_CLAIM)X(V_CLOSE)X(V_BAR)X(V_SCAN)X(V_FW)X(V_FREE)X(V_PUTF)X(V_REOP)X(V_UNCL)X(W_CLR)X(W_COPY)X(W_STILL)X(W_REOP)X(W_FAILD)X(W_WRITE)X(W_DONE)\
 X(S_CHK)X(S_SETW)X(S_COPY)X(S_WR)X(S_WDN)X(X_OW)X(A_CAS)X(N_NOP)X(R_WAIT)X(R_SLOT)X(R_ENT)X(R_FW)X(R_LOOK)X(R_REOP)X(R_UNCL)X(R_DIRTY)X(R_FREE)X(R_OW)X(R_REL)
#define X(a) a,
enum PC{PCS};
#undef X
#define X(a) #a,
static const char*pcn[]={PCS};
#undef X
static u64 cov[128],c_rescue,c_lostfree,c_lostreopen,c_einval,c_trymet,c_foreign,c_recfree,c_recreop,c_recdirty,c_reccl;
static const char*viol; static void bad(const char*w){if(!viol)viol=w;}

static u8 ld(const S&s,int t,int a){const Th&h=s.t[t];for(int i=h.nsb-1;i>=0;i--)if(h.sa[i]==a)return h.sv[i];return s.m[a];}
static void flush1(S&s,int t){Th&h=s.t[t];s.m[h.sa[0]]=h.sv[0];h.nsb--;for(int i=0;i<h.nsb;i++){h.sa[i]=h.sa[i+1];h.sv[i]=h.sv[i+1];}h.sa[h.nsb]=h.sv[h.nsb]=0;}
static void drain(S&s,int t){while(s.t[t].nsb)flush1(s,t);}
static bool st(S&s,int t,int a,u8 v){Th&h=s.t[t];if(h.nsb>=SBCAP)return false;h.sa[h.nsb]=a;h.sv[h.nsb]=v;h.nsb++;return true;} // false: buffer full, wait
static bool cas(S&s,int t,int a,u8 o,u8 n){drain(s,t);if(s.m[a]!=o)return false;s.m[a]=n;return true;}
static inline int sl(int s,int k){return SL+s*K+k;}
// stripe's owner word: 0 = anybody's; 0x80|process<<4|thread+1; thread part 0 = ownerless, pins kept for that process
static inline u8 mko(int q,int t){return 0x80|q<<4|(t+1);} static inline int opr(u8 o){return o&0x80?(o>>4&7):-1;}
static int findE(const S&s,int f){for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&est(e)>=RES&&ex(e)==f)return i;}return -1;}

// ---------------------------------------------------------------- thread helpers
static Op curop(const S&s,int t){const Th&h=s.t[t];auto&v=prog[t][h.alt];return h.op<v.size()?v[h.op]:Op{END,0,0};}
static void clr(Th&h){h.i=h.k=h.e=h.j=h.f=h.p=h.w=h.fl=h.z=0;h.cp[0]=h.cp[1]=0;memset(h.c,0,sizeof h.c);}
static void begin(S&s,int t){Th&h=s.t[t];clr(h);
 for(;;){Op o=curop(s,t);
  switch(o.k){
  case END:h.pc=DONE;return;
  case GET:h.p=o.a;h.pc=G_SCAN;return;
  case PUT:case PUTD:if(!h.hold[o.a]){h.op++;continue;}h.p=o.a;h.f=h.hf[o.a];h.pc=o.k==PUTD?P_MOD:P_OWN;return;
  case GIVE:h.p=o.a;h.i=o.b;h.pc=T_GIVE;return;
  case TAKE:h.p=o.a;h.i=o.b;h.pc=T_TAKE;return;
  case EVICT:h.f=o.a;h.pc=V_CLAIM;return;
  case SYNC:h.pc=S_CHK;memcpy(s.sn[t],s.need,sizeof s.need);return;
  case BADPUT:h.f=o.a;h.pc=P_OWN;return;
  case EXIT:h.pc=X_OW;return;
  case ADOPT:h.pc=A_CAS;return;
  case RECOV:h.pc=R_WAIT;return;
  case NOP:h.pc=N_NOP;return;}}}
static void next(S&s,int t){s.t[t].op++;begin(s,t);}
static void restart(S&s,int t){int p=s.t[t].p;clr(s.t[t]);s.t[t].p=p;s.t[t].pc=G_SCAN;}
static void pinned(S&s,int t){Th&h=s.t[t];s.rp[proc[t]][h.f]++;h.hold[h.p]++;h.hf[h.p]=h.f;next(s,t);}
// own slot that holds frame f as a real pin, or -1; an empty own slot, or -1
static int ownslot(const S&s,int t,int f){for(int q=0;q<T;q++)if(s.t[t].own>>q&1)for(int k=0;k<K;k++){u8 v=ld(s,t,sl(q,k));if(sfr(v)==f&&!(v&TRY))return sl(q,k);}return -1;}
static int emptyslot(const S&s,int t){for(int q=0;q<T;q++)if(s.t[t].own>>q&1)for(int k=0;k<K;k++)if(sfr(ld(s,t,sl(q,k)))<0)return sl(q,k);return -1;}
// option 'chain': slots k>=1 of a stripe are a chained stripe that scanners see only once its link word is set
static bool unlinked(const S&s,int t,int a){int i=a-SL;return chain&&i%K&&!ld(s,t,LK+i/K);}
static bool plain_ok(){return sw!=0;}
// the decrement of this put has happened: the ghost side.  false: an illegal put stole a real pin, cut this branch
static bool unpinned(S&s,int t){Th&h=s.t[t];Op o=curop(s,t);int q=proc[t];
 if(o.k==GET){restart(s,t);return true;}                       // 'debt' variant: the owed decrement of a failed try
 if(o.k==BADPUT){if(!s.rp[q][h.f])bad("(6) illegal put accepted though no pin exists");return false;}
 if(!s.rp[q][h.f])bad("(3) put below zero");
 s.rp[q][h.f]--;if(!--h.hold[h.p])h.hf[h.p]=0;
 if(o.k==PUTD&&!unpinfirst){int w=writer[t];u8 v=ld(s,t,CT+h.f*2+w);if(v>s.need[h.p][w])s.need[h.p][w]=v;}
 if(o.k==PUTD&&unpinfirst){int w=writer[t];if(h.cp[0]>s.need[h.p][w])s.need[h.p][w]=h.cp[0];h.pc=P_DCHK;return true;}
 next(s,t);return true;}
static void einval(S&s,int t){Op o=curop(s,t);c_einval++;
 if(o.k==GET){restart(s,t);return;}                            // debt variant: an illegal put ate the mark, nothing is owed
 if(o.k!=BADPUT)bad("(6) EINVAL for a legal put");else if(!s.t[t].z)bad("(6) EINVAL though a pin existed all the time");next(s,t);}
static void noslot(S&s,int t){Th&h=s.t[t];                     // put found no own slot
 if(sw&&s.m[FG]!=2){h.pc=F_SET;return;} h.pc=P_SCAN;h.i=0;h.j=0;}

static S out[64];static const char*outv[64];static int nout; // successors, each with the violation its step committed
static void EM(const S&s){out[nout]=s;outv[nout++]=viol;viol=0;}
static u8 rm(S&s,int t,int a,u8 andm,u8 orm){drain(s,t);u8 o=s.m[a];s.m[a]=(o&andm)|orm;return o;} // RMW

// ---------------------------------------------------------------- one step of thread t: all successors into out[]
static void step(const S&s0,int t){
 S s=s0;Th&h=s.t[t];int p=h.p,f=h.f;cov[h.pc]++;OpK kind=curop(s,t).k;
 switch(h.pc){
 case DONE:case DEAD:return;
 // ---- get
 case G_SCAN:{u8 e=ld(s,t,E0+h.i);                              // h.k = mask of free entries seen
   if(!e)h.k|=1<<h.i;
   else if(epg(e)==p){
     if(est(e)>=RES){h.e=e;h.f=ex(e);h.pc=G_OWN;h.k=0;EM(s);return;}
     if(est(e)==TENT){S q=s;q.t[t].e=e;q.t[t].j=0xfe;q.t[t].k=0;q.t[t].pc=M_KILL;EM(q);} // patience over: kill; or wait:
     restart(s,t);EM(s);return;}
   if(++h.i==NS){int mask=h.k;h.i=h.k=0;if(!mask){next(s,t);EM(s);return;}   // path full: get fails
     for(int j=0;j<NS;j++)if(mask>>j&1){S q=s;q.t[t].j=j;q.t[t].pc=M_PLACE;EM(q);}return;}
   EM(s);return;}
 case G_OWN:{int a=ownslot(s,t,f);if(fresh&&emptyslot(s,t)>=0)a=-1;                              // h.i = table index, h.e = entry as seen
   if(a>=0&&!(ownres&&est(h.e)==CLOS)){h.k=a;h.w=ld(s,t,a);if(scn(h.w)>=3){bad("count overflow in the model");return;}h.pc=plain_ok()&&s.m[FG]==0?I_IN:G_INC;}
   else{a=emptyslot(s,t);if(a<0){if(!h.own){next(s,t);EM(s);return;}bad("no empty slot (configure a larger K)");return;}h.k=a;h.pc=unlinked(s,t,a)&&!latelink?G_LINK:G_TRY;}
   EM(s);return;}
 case G_LINK:if(!st(s,t,LK+(h.k-SL)/K,1))return;h.pc=latelink?G_REAL:G_TRY;EM(s);return;     // chain a new stripe: P, before its first fill
 case G_INC:if(plaininc){if(!st(s,t,h.k,h.w+4))return;pinned(s,t);EM(s);return;}
   if(cas(s,t,h.k,h.w,h.w+4))pinned(s,t);else restart(s,t);EM(s);return;      // no re-check
 case G_TRY:h.w=mks(f,1,!notry&&!debt,ld(s,t,h.k));if(!st(s,t,h.k,h.w))return;h.pc=G_CHECK;
   if(norecheck)h.pc=G_REAL;EM(s);return;
 case G_CHECK:{u8 e=ld(s,t,E0+h.i);
   if(e==mk(p,f,RES)){if(notry||debt)pinned(s,t);else h.pc=G_REAL;}
   else if(e==mk(p,f,CLOS))h.pc=G_RESC; else h.pc=G_BACK;
   EM(s);return;}
 case G_RESC:if(cas(s,t,E0+h.i,mk(p,f,CLOS),mk(p,f,RES))){c_rescue++;if(notry||debt)pinned(s,t);else h.pc=G_REAL;}else h.pc=G_CHECK;EM(s);return;
 case G_REAL:if(latelink&&unlinked(s,t,h.k)){h.pc=G_LINK;EM(s);return;}if(!st(s,t,h.k,h.w&~TRY))return;if(realcas)drain(s,t);pinned(s,t);EM(s);return;          // plain store
 case G_BACK:if(debt||notry||backcas){bool ok=cas(s,t,h.k,h.w,sclr(h.w));
     if(ok||!debt)restart(s,t);else{h.pc=P_OWN;h.e=0;h.i=0;}}                 // debt: the mark was consumed, a decrement is owed
   else{if(!st(s,t,h.k,sclr(h.w)))return;restart(s,t);} EM(s);return;
 // ---- miss: insertion (entry at index h.j)
 case M_PLACE:if(norescan){if(cas(s,t,E0+h.j,0,mk(p,t,LOAD)))h.pc=L_FRAME;else restart(s,t);EM(s);return;}
   if(cas(s,t,E0+h.j,0,mk(p,t,TENT))){h.i=h.j==0?1:0;h.pc=h.i<NS?M_RES:M_PROM;}else restart(s,t);EM(s);return;
 case M_RES:{u8 e=ld(s,t,E0+h.i);
   if(e&&epg(e)==p){
     if(est(e)!=TENT){h.pc=M_RETR;EM(s);return;}
     if(!nokill){if(h.i<h.j){S q=s;q.t[t].pc=M_RETR;EM(q);}h.e=e;h.pc=M_KILL;EM(s);return;}}
   h.i++;if(h.i==h.j)h.i++;if(h.i>=NS)h.pc=M_PROM;EM(s);return;}
 case M_KILL:cas(s,t,E0+h.i,h.e,0);h.e=0;if(h.j==0xfe)restart(s,t);else h.pc=M_RES;EM(s);return;
 case M_RETR:cas(s,t,E0+h.j,mk(p,t,TENT),0);restart(s,t);EM(s);return;
 case M_PROM:if(cas(s,t,E0+h.j,mk(p,t,TENT),mk(p,t,LOAD))){h.pc=L_FRAME;h.i=0;}else restart(s,t);EM(s);return;
 case L_FRAME:{bool any=false;drain(s,t);                       // CAS free -> claimed by me, in the frame word itself
   for(int g=0;g<NF;g++)if(s.m[FW+g]==FREE){S q=s;q.m[FW+g]=claimed_by(t);q.t[t].f=g;q.t[t].pc=L_FILL;EM(q);any=true;}
   if(!any||!nofail){S q=s;q.t[t].k=1;q.t[t].pc=L_FAIL;EM(q);} return;}   // no frame
 case L_FILL:{if(!nofail){S q=s;q.t[t].k=0;q.t[t].pc=L_FAIL;EM(q);}       // read error
   drain(s,t);if(!pglate)s.m[PG+f]=p;
   for(int w=0;w<2;w++){s.m[CT+f*2+w]=s.m[DK+p*2+w];if(s.m[DK+p*2+w]<s.need[p][w])bad("(4) reload of a page whose modification is not on disk");}
   int a=emptyslot(s,t);if(a<0){if(!h.own){h.k=0;h.pc=L_FAIL;EM(s);return;}bad("no empty slot (configure a larger K)");return;}h.k=a;h.pc=L_SLOT;EM(s);return;}
 case L_SLOT:if(unlinked(s,t,h.k)){if(!st(s,t,LK+(h.k-SL)/K,1))return;EM(s);return;}h.w=mks(f,1,!loadreal&&!notry&&!debt,ld(s,t,h.k));if(!st(s,t,h.k,h.w))return;h.pc=L_PUB;EM(s);return;
 case L_PUB:if(!cas(s,t,E0+h.j,mk(p,t,LOAD),mk(p,f,RES)))bad("publish failed");h.pc=L_REAL;EM(s);return;
 case L_REAL:if(h.w&TRY){if(!st(s,t,h.k,h.w&~TRY))return;} h.pc=pglate?L_PGL:L_UNCL;s.rp[proc[t]][f]++;h.hold[p]++;h.hf[p]=f;EM(s);return;
 case L_PGL:drain(s,t);s.m[PG+f]=p;h.pc=L_UNCL;EM(s);return;
 case L_UNCL:rm(s,t,FW+f,~(CLAIM|OWNER),0);next(s,t);EM(s);return;
 case L_FAIL:if(!cas(s,t,E0+h.j,mk(p,t,LOAD),0))bad("loading entry changed by somebody else");if(h.k)next(s,t);else h.pc=L_FREE;EM(s);return;
 case L_FREE:rm(s,t,FW+f,0,FREE);next(s,t);EM(s);return;
 // ---- put
 case P_MOD:{int w=writer[t];u8 v=ld(s,t,CT+f*2+w);if(!st(s,t,CT+f*2+w,v+1))return;h.cp[0]=v+1;h.pc=unpinfirst?P_OWN:P_DCHK;EM(s);return;}
 case P_DCHK:if(ld(s,t,FW+f)&DIRTY){if(unpinfirst)next(s,t);else h.pc=P_OWN;}else h.pc=P_DSET;EM(s);return;
 case P_DSET:rm(s,t,FW+f,0xff,DIRTY);if(unpinfirst)next(s,t);else{h.cp[0]=0;h.pc=P_OWN;}EM(s);return;
 case P_OWN:{int a=ownslot(s,t,f);if(a>=0){h.k=a;h.w=ld(s,t,a);h.pc=plain_ok()&&s.m[FG]==0?I_IN:P_DEC;}else noslot(s,t);EM(s);return;}
 case P_DEC:if(plainput){if(!st(s,t,h.k,sdec(h.w)))return;if(unpinned(s,t))EM(s);else if(viol)EM(s);return;}
   if(cas(s,t,h.k,h.w,sdec(h.w))){if(unpinned(s,t)||viol)EM(s);}else{h.pc=P_OWN;EM(s);}return;
 case P_SCAN:{                                                  // foreign put: h.i = slot, h.j = scans that found nothing, c = words of the last one
   if(h.i<T*K){int q=h.i/K;if((opr(ld(s,t,OW+q))==proc[t]||xproc)&&!unlinked(s,t,SL+h.i)){u8 v=ld(s,t,SL+h.i);
       if(sfr(v)==f&&(!(v&TRY)||noskip)){h.e=v;h.pc=P_FDEC;EM(s);return;}
       if(v&TRY&&sfr(v)==f)c_trymet++;
       if(einv==1){if(h.j&&h.c[h.i]!=v)h.j=2;else if(!h.j)h.c[h.i]=v;if(h.j==2)h.c[h.i]=v;}}
     h.i++;EM(s);return;}
   h.i=0;h.k=h.w=h.e=0;
   if(einv==0){einval(s,t);EM(s);return;}
   if(einv==1){if(h.j==1){einval(s,t);EM(s);return;}h.j=1;h.pc=P_OWN;{u8 c[MT*MK];memcpy(c,h.c,sizeof c);h.pc=P_SCAN;memcpy(h.c,c,sizeof c);}EM(s);return;}
   if(einv==3){h.pc=P_OWN;EM(s);return;}
   h.pc=P_PROVE;EM(s);return;}
 case P_FDEC:if(cas(s,t,SL+h.i,h.e,h.e&TRY?sclr(h.e):sdec(h.e))){c_foreign++;if(unpinned(s,t)||viol)EM(s);}
   else{h.e=0;h.pc=P_SCAN;EM(s);}return;
 case P_PROVE:{drain(s,t);u8 w=s.m[FW+f];if(w==FREE){einval(s,t);EM(s);return;}              // a free frame has no pin
   if(w&CLAIM){h.pc=P_OWN;EM(s);return;}                        // somebody's claim: look again
   s.m[FW+f]|=claimed_by(t);h.fl=0;h.pc=V_CLOSE;EM(s);return;}
 // ---- switch: the first foreign put ends the plain mode (FG 0 -> 1 -> 2)
 case F_SET:if(sw==2){drain(s,t);if(!s.m[FG])s.m[FG]=1;h.i=0;h.pc=F_BAR;}else{drain(s,t);if(!s.m[FG])s.m[FG]=1;h.i=0;h.pc=swnograce?F_RDY:swnobar?F_WAIT:F_BAR;}EM(s);return;
 case F_BAR:for(int u=0;u<T;u++)if(!(h.i>>u&1)){S q=s;drain(q,u);Th&g=q.t[u];
     if(sw==2&&(g.pc==I_LOAD||g.pc==I_ST))g.pc=I_FLAG;          // the kernel restarts a sequence it interrupts
     q.t[t].i|=1<<u;if(q.t[t].i==(1<<T)-1){q.t[t].i=0;q.t[t].pc=sw==2?F_RDY:F_WAIT;}EM(q);}return;
 case F_WAIT:if(h.i<T){if(ld(s,t,IN+h.i)&&h.i!=t){if(s.t[h.i].pc==DEAD){h.i++;EM(s);}else return;}else{h.i++;EM(s);}return;}h.i=0;h.pc=F_RDY;EM(s);return;
 case F_RDY:drain(s,t);s.m[FG]=2;h.i=0;h.pc=P_OWN;EM(s);return;
 case I_IN:if(sw==1&&!st(s,t,IN+t,1))return;h.pc=I_FLAG;EM(s);return;
 case I_FLAG:h.fl=ld(s,t,FG)!=0;h.pc=h.fl?I_OUT:I_LOAD;EM(s);return;
 case I_LOAD:{u8 v=ld(s,t,h.k);if(v!=h.w){bad("own slot changed in plain mode");}h.pc=I_ST;EM(s);return;}
 case I_ST:{if(!st(s,t,h.k,kind==GET?h.w+4:sdec(h.w)))return;       // the plain store is the pin / unpin
   Th keep=h;if(kind==GET)pinned(s,t);else if(!unpinned(s,t)){if(viol)EM(s);return;}
   keep.hold[p]=h.hold[p];keep.hf[p]=h.hf[p];u8 n=h.nsb;(void)n;h=keep;h.fl=2;h.pc=I_OUT;EM(s);return;}
 case I_OUT:if(sw==1&&!st(s,t,IN+t,0))return;
   if(h.fl==1){h.fl=0;h.pc=kind==GET?G_INC:P_DEC;EM(s);return;}
   next(s,t);EM(s);return;
 // ---- hand a pin over (plain store to a mailbox), take it
 case T_GIVE:if(h.hold[p]){if(!st(s,t,MB+h.i,h.hf[p]+1))return;if(!--h.hold[p])h.hf[p]=0;}else if(!st(s,t,MB+h.i,0x7f))return;next(s,t);EM(s);return;
 case T_TAKE:{u8 v=ld(s,t,MB+h.i);if(!v)return;drain(s,t);s.m[MB+h.i]=0;if(v!=0x7f){h.hold[p]++;h.hf[p]=v-1;}next(s,t);EM(s);return;}
 // ---- evict; also the closed window of sync and of a put's proof.  fl: 1 slot seen, 2 frame done, 4 write error, 8 proven unpinned
 case V_CLAIM:drain(s,t);if(barfirst){for(int u=0;u<T;u++)drain(s,u);}
   if(noclaim){if(s.m[FW+f]==FREE||findE(s,f)<0){next(s,t);EM(s);return;}}
   else if(s.m[FW+f]&CLAIM){next(s,t);EM(s);return;}
   else s.m[FW+f]|=claimed_by(t);
   if(clrearly&&(s.m[FW+f]&DIRTY))s.m[FW+f]=(s.m[FW+f]&~DIRTY)|WRITING;
   h.pc=V_CLOSE;EM(s);return;
 case V_CLOSE:{int i=findE(s,f);u8 e=i<0?0:s.m[E0+i];
   if(lazy&&i>=0&&est(e)==CLOS){drain(s,t);h.i=0;h.pc=kind==EVICT?V_FW:V_BAR;EM(s);return;}                // left so, and scanned, by another
   if(i<0||!cas(s,t,E0+i,mk(epg(e),f,RES),mk(epg(e),f,CLOS))){if(!noclaim&&!lenient)bad("close failed under the claim");if(lenient){h.pc=V_UNCL;EM(s);return;}next(s,t);EM(s);return;}
   if(lazybar&&kind==EVICT){S q=s;q.t[t].i=0;q.t[t].pc=V_UNCL;EM(q);}
   h.i=0;if(earlylist)for(int q=0;q<T;q++)h.c[q]=ld(s,t,LK+q);
   h.pc=(nobar||barfirst||(nobar2&&h.fl&2))?V_SCAN:V_BAR;EM(s);return;}
 case V_BAR:for(int u=0;u<T;u++)if(!(h.i>>u&1)){S q=s;drain(q,u);q.t[t].i|=1<<u;if(q.t[t].i==(1<<T)-1){q.t[t].i=0;q.t[t].pc=V_SCAN;if(dirtyfirst)q.t[t].z=0x80|(q.m[FW+f]&DIRTY);}EM(q);}return;
 case V_SCAN:{u8 v=ld(s,t,SL+h.i);if(earlylist?(chain&&h.i%K&&!h.c[h.i/K]):unlinked(s,t,SL+h.i))v=0;if(sfr(v)==f){h.i=0;h.fl|=1;h.pc=V_REOP;EM(s);return;}
   if(++h.i>=T*K){h.i=0;h.pc=V_FW;}EM(s);return;}
 case V_FW:{u8 w=ld(s,t,FW+f);bool D=w&DIRTY;if(dirtyfirst&&h.z){D=h.z&DIRTY;h.z=0;}if(clrearly&&(w&WRITING))D=true;
   if(kind==EVICT&&lazy&&!D){S q=s;q.t[t].pc=V_UNCL;EM(q);}
   if(kind==EVICT)h.pc=D?W_CLR:V_FREE;
   else if(kind==SYNC)h.pc=D?W_CLR:V_REOP;
   else{h.fl|=8;h.pc=V_REOP;}
   EM(s);return;}
 case V_FREE:{int i=findE(s,f);if(i<0){if(!noclaim)bad("entry vanished");h.pc=V_UNCL;EM(s);return;}
   int pg=epg(s.m[E0+i]);
   if(cas(s,t,E0+i,mk(pg,f,noclose2&&h.fl&2?RES:CLOS),0)){
     for(int q=0;q<MT;q++)if(s.rp[q][f])bad("(1) frame freed while a thread holds a pin");
     for(int w=0;w<2;w++)if(s.m[DK+pg*2+w]<s.need[pg][w])bad("(4) page freed with a modification not on disk");
     h.pc=V_PUTF;}
   else{c_lostfree++;h.pc=V_UNCL;}
   EM(s);return;}
 case V_PUTF:rm(s,t,FW+f,0,FREE);next(s,t);EM(s);return;
 case V_REOP:{int i=findE(s,f);bool ok=false;if(i<0){if(!noclaim)bad("entry vanished");}
   else{u8 e=s.m[E0+i];ok=cas(s,t,E0+i,mk(epg(e),f,CLOS),mk(epg(e),f,RES));}
   if(!ok)h.fl&=~8;
   h.pc=kind==SYNC&&(h.fl&1)&&(ld(s,t,FW+f)&DIRTY)?S_SETW:V_UNCL;EM(s);return;}
 case V_UNCL:if(!noclaim||kind!=EVICT){u8 w=rm(s,t,FW+f,~(CLAIM|OWNER),0);if(clrearly&&(w&WRITING)){s.m[FW+f]=(s.m[FW+f]&~WRITING)|DIRTY;}}
   if(kind==SYNC){int x=h.fl;h.fl=0;h.i=0;if(x&4){next(s,t);EM(s);return;}if(x&2)h.f++;h.pc=S_CHK;if(h.f>=NF)goto syncdone;EM(s);return;}
   if(kind==EVICT){next(s,t);EM(s);return;}
   if(h.fl&8){einval(s,t);EM(s);return;}
   h.fl=0;h.pc=P_OWN;EM(s);return;
 // write back inside the closed window
 case W_CLR:drain(s,t);s.m[FW+f]=(s.m[FW+f]&~DIRTY)|(nowriting?0:WRITING);h.i=0;h.pc=W_COPY;EM(s);return;
 case W_COPY:h.cp[h.i]=ld(s,t,CT+f*2+h.i);if(++h.i==2){h.i=0;h.pc=stay&&kind==EVICT?W_STILL:W_REOP;}EM(s);return;
 case W_STILL:{int i=findE(s,f);h.pc=i>=0&&est(ld(s,t,E0+i))==CLOS?W_WRITE:W_FAILD;EM(s);return;}
 case W_REOP:{int i=findE(s,f);if(i<0){if(!noclaim)bad("entry vanished");h.pc=V_UNCL;EM(s);return;}u8 e=s.m[E0+i];
   if(cas(s,t,E0+i,mk(epg(e),f,CLOS),mk(epg(e),f,RES)))h.pc=W_WRITE;else{c_lostreopen++;h.pc=W_FAILD;}EM(s);return;}
 case W_FAILD:drain(s,t);s.m[FW+f]=(s.m[FW+f]&~WRITING)|(norestore&&!(h.fl&4)?0:DIRTY);h.cp[0]=h.cp[1]=0;h.i=0;h.pc=stay&&kind==EVICT&&!noreopen?V_REOP:V_UNCL;EM(s);return;
 case W_WRITE:{if(!nofail){S q=s;q.t[t].fl|=4;q.t[t].pc=W_FAILD;EM(q);}                      // error, perhaps after a part
   drain(s,t);s.m[DK+s.m[PG+f]*2+h.i]=h.cp[h.i];h.cp[h.i]=0;if(++h.i==2){h.i=0;h.pc=W_DONE;}EM(s);return;}
 case W_DONE:drain(s,t);s.m[FW+f]&=~WRITING;h.fl|=2;
   if(kind==SYNC)h.pc=V_UNCL;else h.pc=noclose2||stay?V_FREE:V_CLOSE;EM(s);return;           // evict: a whole second close, barrier, scan
 // ---- sync
 case S_CHK:{u8 w=ld(s,t,FW+f);
   if(!(w&(DIRTY|WRITING))){h.f++;if(h.f>=NF)goto syncdone;EM(s);return;}
   if(w&(CLAIM|WRITING)){EM(s);return;}                         // wait
   if(cas(s,t,FW+f,w,w|claimed_by(t)))h.pc=V_CLOSE;EM(s);return;}
 case S_SETW:rm(s,t,FW+f,syncclr?~DIRTY:0xff,WRITING);h.i=0;h.pc=S_COPY;EM(s);return;        // pinned: dirty stays
 case S_COPY:h.cp[h.i]=ld(s,t,CT+f*2+h.i);if(++h.i==2){h.i=0;h.pc=S_WR;}EM(s);return;
 case S_WR:if(!nofail){S q=s;q.t[t].fl|=4;q.t[t].cp[0]=q.t[t].cp[1]=0;q.t[t].pc=S_WDN;EM(q);}
   drain(s,t);s.m[DK+s.m[PG+f]*2+h.i]=h.cp[h.i];h.cp[h.i]=0;if(++h.i==2){h.i=0;h.pc=S_WDN;}EM(s);return;
 case S_WDN:drain(s,t);s.m[FW+f]&=~WRITING;h.fl|=2;h.pc=V_UNCL;EM(s);return;
 // ---- thread end, adoption
 case X_OW:while(h.i<T&&!(h.own>>h.i&1))h.i++;if(h.i>=T){next(s,t);EM(s);return;}
   if(!st(s,t,OW+h.i,mko(proc[t],-1)))return;h.own&=~(1<<h.i);EM(s);return;
 case A_CAS:{u8 o=0;while(h.i<T&&(o=ld(s,t,OW+h.i))!=0&&o!=mko(proc[t],-1))h.i++;if(h.i>=T){next(s,t);EM(s);return;}
   if(cas(s,t,OW+h.i,o,mko(proc[t],t)))h.own|=1<<h.i;h.i++;EM(s);return;}
 case N_NOP:next(s,t);EM(s);return;
 // ---- recovery of process q.  Right order: slots -> entries -> frames -> stripes -> ids
 case R_WAIT:{int q=curop(s,t).a;
   if(s.pr>>q&1){next(s,t);EM(s);return;}
   if(!(s.pd>>q&1)){for(int u=0;u<T;u++)if(proc[u]==q&&s.t[u].pc!=DONE)return;next(s,t);EM(s);return;}
   if(s.rl&&s.rl!=t+1&&s.t[s.rl-1].pc!=DEAD&&!rec_nolock)return; // somebody alive recovers
   s.rl=t+1;h.i=h.k=0;h.p=q;
   if(rec_idfirst){h.z=1;h.pc=R_REL;}else h.pc=rec_owfirst?R_OW:rec_noslots||rec_slotlast?R_ENT:R_SLOT;EM(s);return;}
 case R_SLOT:while(h.i<T*K&&!(rec_owfirst?h.c[0]>>(h.i/K)&1:opr(ld(s,t,OW+h.i/K))==p))h.i++;
   if(h.i>=T*K){h.i=0;h.pc=rec_slotlast?(rec_owfirst?R_REL:R_OW):R_ENT;EM(s);return;}
   if(!st(s,t,SL+h.i,sclr(s.m[SL+h.i])))return;h.i++;EM(s);return;
 case R_ENT:if(h.i>=NS||rec_noentry){h.i=0;h.f=0;h.pc=R_FW;EM(s);return;}
   {u8 e=ld(s,t,E0+h.i);if(e&&est(e)<RES&&proc[ex(e)]==p){c_reccl++;cas(s,t,E0+h.i,e,0);}h.i++;EM(s);return;}
 case R_FW:{if(f>=NF||rec_noframe){h.f=0;h.i=0;h.pc=rec_slotlast?R_SLOT:rec_owfirst?R_REL:R_OW;EM(s);return;}
   u8 w=ld(s,t,FW+f);int o=(w&OWNER)>>3;
   if((w&CLAIM)&&o&&o<=MT&&proc[o-1]==p){h.i=0;h.pc=rec_unclfirst?R_UNCL:R_LOOK;}else h.f++;EM(s);return;}
 case R_LOOK:{if(h.i>=NS){h.i=0;if(rec_unclfirst){h.f++;h.pc=R_FW;}else h.pc=R_FREE;EM(s);return;}
   u8 e=ld(s,t,E0+h.i);if(e&&est(e)>=RES&&ex(e)==f&&epg(e)==ld(s,t,PG+f)){h.pc=est(e)==CLOS?(rec_reopenlast?R_UNCL:R_REOP):R_UNCL;h.k=est(e)==CLOS;if(rec_unclfirst&&h.pc==R_UNCL){h.pc=R_FW;h.f++;h.i=0;}}else h.i++;EM(s);return;}
 case R_REOP:{u8 e=s.m[E0+h.i];int pg=s.m[PG+f];(void)e;c_recreop++;cas(s,t,E0+h.i,mk(pg,f,CLOS),rec_reopenfree?0:mk(pg,f,RES));
   if(rec_unclfirst||rec_reopenlast){h.f++;h.i=h.k=0;h.pc=R_FW;}else h.pc=rec_reopenfree?R_FREE:R_UNCL;EM(s);return;}
 case R_UNCL:{drain(s,t);u8 w=s.m[FW+f];if(!rec_reopenlast)h.i=0;                  // one RMW: drop the claim, writing -> dirty
   if(rec_split){s.m[FW+f]=w&~(CLAIM|OWNER);h.pc=R_DIRTY;EM(s);return;}
   if(w&WRITING)c_recdirty++;
   if((w&WRITING)&&!rec_nodirty)w|=DIRTY;
   s.m[FW+f]=w&~(CLAIM|OWNER|WRITING);if(rec_unclfirst)h.pc=R_LOOK;else if(rec_reopenlast&&h.k)h.pc=R_REOP;else{h.f++;h.i=h.k=0;h.pc=R_FW;}EM(s);return;}
 case R_DIRTY:{drain(s,t);u8 w=s.m[FW+f];if(w&WRITING)s.m[FW+f]=(w&~WRITING)|DIRTY;h.f++;h.pc=R_FW;EM(s);return;}
 case R_FREE:c_recfree++;rm(s,t,FW+f,0,FREE);h.f++;h.pc=R_FW;EM(s);return;
 case R_OW:while(h.i<T&&opr(ld(s,t,OW+h.i))!=p)h.i++;
   if(h.i>=T){h.i=0;h.pc=rec_owfirst?(rec_slotlast||rec_noslots?R_ENT:R_SLOT):R_REL;EM(s);return;}
   if(!st(s,t,OW+h.i,0))return;h.c[0]|=1<<h.i;h.i++;EM(s);return;
 case R_REL:{drain(s,t);                                        // the ids are free again: new threads may come
   if(!(h.z==2)){s.pr|=1<<p;
     for(int u=0;u<T;u++)if(proc[u]==p&&s.t[u].pc==DEAD){memset(&s.t[u],0,sizeof(Th));if(prog[u][1].size()){s.t[u].alt=1;begin(s,u);}else s.t[u].pc=DONE;}}
   if(h.z==1){h.z=2;h.pc=rec_noslots||rec_slotlast?R_ENT:R_SLOT;EM(s);return;}
   s.rl=0;next(s,t);EM(s);return;}
 default:abort();}
syncdone:
 for(int p2=0;p2<NP;p2++)for(int w=0;w<2;w++)if(s.m[DK+p2*2+w]<s.sn[t][p2][w])bad("(4) sync returned with a modification not on disk");
 memset(s.sn[t],0,sizeof s.need);
 next(s,t);EM(s);
}
// death of process q: all its threads stop at once; what is still in their store buffers is lost (earlier flushes = drained)
static bool die(S&s,int q){if(!(dieMask>>q&1)||(s.pd>>q&1)||s.deaths>=maxDie)return false;bool any=false;
 for(int t=0;t<T;t++)if(proc[t]==q&&s.t[t].pc!=DONE)any=true;
 if(!any)return false;
 for(int t=0;t<T;t++)if(proc[t]==q){memset(&s.t[t],0,sizeof(Th));memset(s.sn[t],0,sizeof s.need);s.t[t].pc=DEAD;}
 for(int f=0;f<MF;f++)s.rp[q][f]=0;
 s.pd|=1<<q;s.deaths++;return true;}

// ---------------------------------------------------------------- properties
static bool tryer(const Th&h,int f){return h.f==f&&(h.pc==G_CHECK||h.pc==G_RESC||h.pc==G_BACK);}
static void invariant(S&s){
 int c[MPG+1]={0};
 for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&est(e)!=TENT)c[epg(e)]++;for(int j=0;j<i;j++){u8 g=s.m[E0+j];if(e&&g&&est(e)>=RES&&est(g)>=RES&&ex(e)==ex(g))bad("(2) one frame in two entries");}}
 for(int p=0;p<NP;p++)if(c[p]>1)bad("(2) two valid entries for one page");
 for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&est(e)>=RES&&s.m[FW+ex(e)]==FREE)bad("(1) free frame in the table");}
 for(int t=0;t<T;t++)for(int p=0;p<NP;p++)if(s.t[t].hold[p]){int f=s.t[t].hf[p];bool ok=false;
   for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&est(e)>=RES&&ex(e)==f&&epg(e)==p)ok=true;}
   if(!ok)bad("(1) pinned page lost its frame");
   for(int w=0;w<2;w++)if(s.m[CT+f*2+w]<s.need[p][w]&&!(unpinfirst||plainput||sw))bad("(4) pinned page shows old content");}
 // (3) exact sums, at all times, by process, stores on their way counted as done
 u8 v[MT*MK],ow[MT];memcpy(ow,s.m+OW,T);for(int i=0;i<T*K;i++)v[i]=s.m[SL+i];
 for(int t=0;t<T;t++)for(int b=0;b<s.t[t].nsb;b++){int a=s.t[t].sa[b];if(a>=SL&&a<SL+T*K)v[a-SL]=s.t[t].sv[b];if(a>=OW&&a<OW+T)ow[a-OW]=s.t[t].sv[b];}
 for(int q=0;q<T;q++){if((s.pd>>q&1)&&!(s.pr>>q&1))continue;if((s.pd>>q&1)&&(rec_idfirst))continue;
  for(int f=0;f<NF;f++){int n=0,ghost=s.rp[q][f];for(int i=0;i<T*K;i++)if(opr(ow[i/K])==q&&sfr(v[i])==f&&!(v[i]&TRY))n+=scn(v[i]);
   for(int t=0;t<T;t++)if(proc[t]==q){const Th&h=s.t[t];
     if(debt||notry||loadreal){if(h.f==f&&(h.pc==L_PUB||h.pc==L_REAL))ghost++;}
     if(debt){if(tryer(h,f))ghost++;if(curop(s,t).k==GET&&h.f==f&&(h.pc>=P_OWN&&h.pc<=P_FDEC))ghost++;}
     if(notry&&tryer(h,f))ghost++;
    }
   if(n!=ghost&&!xproc&&!nosum)bad(n>ghost?"(3) sum above the real pins":"(3) sum below the real pins");}}
 for(int t=0;t<T;t++){Th&h=s.t[t];if(h.pc!=DONE&&h.pc!=DEAD&&curop(s,t).k==BADPUT&&!s.rp[proc[t]][h.f])h.z=1;}
}
static bool alldone(const S&s){for(int t=0;t<T;t++)if((s.t[t].pc!=DONE)||s.t[t].nsb)return false;return true;}
static void terminal(const S&s){
 for(int i=0;i<T*K;i++)if(s.m[SL+i]&TRY)bad("(3) trying mark left");
 for(int f=0;f<NF;f++){int n=0,r=0;for(int i=0;i<T*K;i++)if(sfr(s.m[SL+i])==f)n+=scn(s.m[SL+i]);for(int q=0;q<MT;q++)r+=s.rp[q][f];
  if(n!=r)bad(n>r?"(3) pin leaked":"(3) sum below the real pins at the end");
  if(s.m[FW+f]==FREE){continue;}
  int i=findE(s,f);if(i<0){bad("(3) frame lost: neither free nor in the table");continue;}
  u8 e=s.m[E0+i];int p=epg(e);if(est(e)!=RES&&!lazy)bad("(5) entry left closing");
  if(s.m[FW+f]&CLAIM)bad("(5) claim left");if(s.m[FW+f]&WRITING)bad("(5) writing left");
  for(int w=0;w<2;w++){if(s.m[CT+f*2+w]<s.need[p][w])bad("(4) memory lost a modification");
   if(!(s.m[FW+f]&DIRTY)&&s.m[DK+p*2+w]<s.need[p][w])bad("(4) clean page differs from disk");}}
 for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&est(e)<RES)bad("(5) tentative/loading left");}
 for(int p=0;p<NP;p++){bool r=false;for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&epg(e)==p&&est(e)>=RES)r=true;}
  if(!r)for(int w=0;w<2;w++)if(s.m[DK+p*2+w]<s.need[p][w])bad("(4) lost modification");}
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
static void show(const S&s){static const char*n[]={"tent","load","res","CLOS"};printf(" E[");
 for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(!e)printf("- ");else printf("P%d/%d:%s ",epg(e),ex(e),n[est(e)]);}printf("] ");
 for(int f=0;f<NF;f++){u8 w=s.m[FW+f];printf("F%d(",f);if(w==FREE)printf("free");else printf("%s%d%s%s",w&CLAIM?"claim":"",(w&OWNER)>>3,w&DIRTY?" D":"",w&WRITING?" W":"");printf(" rp");for(int q=0;q<T;q++)printf("%d",s.rp[q][f]);printf(") ");}
 for(int t=0;t<T;t++){printf("s%d[",t);for(int k=0;k<K;k++){u8 v=s.m[sl(t,k)];if(sfr(v)<0)printf(" -");else printf(" F%d*%d%s",sfr(v),scn(v),v&TRY?"?":"");}
  if(s.t[t].nsb){printf(" |buf");for(int i=0;i<s.t[t].nsb;i++){int a=s.t[t].sa[i],v=s.t[t].sv[i];if(a>=SL&&a<OW){if(sfr(v)<0)printf(" sl%d=-",a-SL);else printf(" sl%d=F%d*%d%s",a-SL,sfr(v),scn(v),v&TRY?"?":"");}else printf(" %s%d=%d",a>=FG?"flag":a>=MB?"mb":a>=DK?"dk":a>=CT?"ct":a>=IN?"in":"ow",a>=MB?a-MB:a>=CT?a-CT:a>=IN?a-IN:a-OW,v);}}printf("] ");}
 printf("ct");for(int f=0;f<NF;f++)printf(" %d%d",s.m[CT+2*f],s.m[CT+2*f+1]);printf(" dk");for(int p=0;p<NP;p++)printf(" %d%d",s.m[DK+2*p],s.m[DK+2*p+1]);printf(" need");for(int p=0;p<NP;p++)printf(" %d%d",s.need[p][0],s.need[p][1]);printf("\n");}
static S init;
static void trace(u64 h){vector<u64> ch;while(h){ch.push_back(h);h=parent(h);}S s=init;printf("init               ");show(s);
 for(int i=(int)ch.size()-2;i>=0;i--){const char*sv=viol;succ(s);int g=-1;for(int j=0;j<nout;j++){S q=out[j];invariant(q);if(fp(q)==ch[i]){g=j;out[j]=q;break;}}viol=sv;
  if(g<0){printf("??\n");return;}
  printf("%3d %c%d %-8s op%d",(int)ch.size()-1-i,how[g]=='d'?'Q':'T',who[g],how[g]=='f'?"(flush)":how[g]=='d'?"DIES":pcn[s.t[who[g]].pc],s.t[who[g]].op);s=out[g];show(s);}}
static bool solo(S s,int t){int op=s.t[t].op;for(int n=0;n<600;n++){const char*sv=viol;nout=0;step(s,t);viol=sv;
  if(!nout){if(s.t[t].nsb){flush1(s,t);continue;}return false;}
  s=out[0];if(s.t[t].op!=op||s.t[t].pc==DONE)return true;}return false;}
static void progress(const S&s){bool someone=false,active=false;
 for(int t=0;t<T;t++){const Th&h=s.t[t];if(h.pc==DONE||h.pc==DEAD)continue;active=true;bool r=solo(s,t);if(r){someone=true;continue;}
  Op o=curop(s,t);
  if(o.k==GET){bool there=false,loading=false;for(int i=0;i<NS;i++){u8 e=s.m[E0+i];if(e&&epg(e)==o.a){if(est(e)>=RES)there=true;if(est(e)==LOAD)loading=true;}}
    if(there)bad("(5) get of a resident/closing page blocked by stalled threads");if(!loading&&!there)bad("(5) get blocked although nobody is loading");}
  else if((o.k==PUT||o.k==PUTD)&&!sw)bad("(5) legal put blocked by stalled threads");
  else if(o.k==EVICT||o.k==EXIT||o.k==ADOPT)bad("(5) evict/exit/adopt blocked by stalled threads");}
 for(int t=0;t<T;t++)if(s.t[t].nsb)someone=true;
 if(active&&!someone&&!dieMask)bad("(5) nobody can progress alone");}
static void parse(const char*c){int t=0,alt=0;for(;*c;){if(*c==';'){t++;alt=0;c++;continue;}if(*c=='|'){alt=1;c++;continue;}if(*c==' '){c++;continue;}
  char k=*c++;int a=0,b=0;if(*c>='0'&&*c<='9')a=*c++-'0';if(*c=='.'){c++;b=*c++-'0';}
  OpK o=k=='G'?GET:k=='P'?PUT:k=='D'?PUTD:k=='g'?GIVE:k=='t'?TAKE:k=='E'?EVICT:k=='S'?SYNC:k=='B'?BADPUT:k=='X'?EXIT:k=='A'?ADOPT:k=='R'?RECOV:k=='N'?NOP:END;
  if(o==END||t>=MT){fprintf(stderr,"bad spec at %c\n",k);exit(2);}prog[t][alt].push_back({o,a,b});}
 T=t+1;int nw=0;for(t=0;t<T;t++){bool w=false;for(int a=0;a<2;a++)for(auto&o:prog[t][a])if(o.k==PUTD)w=true;writer[t]=0;if(w)writer[t]=nw++;}
 if(nw>2){fprintf(stderr,"at most two writing threads\n");exit(2);}}
int main(int ac,char**av){
 string spec;int resident=1;bool quiet=false;cap=(u64)1<<26;
 map<string,int*> num={{"K",&K},{"NS",&NS},{"NF",&NF},{"NP",&NP},{"SB",&SBCAP},{"solo",&solo_mod},{"einv",&einv},{"tag",&tagbits},{"sw",&sw},{"die",&dieMask},{"maxdie",&maxDie},{"res",&resident}};
#define B(x) {#x,&x}
 map<string,bool*> names={B(nobar),B(barfirst),B(norecheck),B(noclaim),B(noskip),B(notry),B(debt),B(plainput),B(plaininc),B(unpinfirst),B(syncclr),B(clrearly),B(norestore),B(noclose2),B(nobar2),
  B(norescan),B(nokill),B(xproc),B(loadreal),B(realcas),B(ownres),B(anon),B(pglate),B(rec_noslots),B(rec_nodirty),B(rec_split),B(rec_unclfirst),B(rec_reopenlast),B(rec_idfirst),B(rec_owfirst),B(rec_slotlast),
  B(rec_noentry),B(rec_noframe),B(rec_nolock),B(rec_reopenfree),B(nofail),B(swnograce),B(swnobar),B(dirtyfirst),B(nowriting),B(backcas),B(nosum),B(chain),B(latelink),B(earlylist),B(lenient),B(fresh),B(stay),B(noreopen),B(lazy),B(lazybar),{"cov",&covf},{"quiet",&quiet}};
 for(int i=1;i<ac;i++){string a=av[i];auto e=a.find('=');string k=a.substr(0,e),v=e==string::npos?"":a.substr(e+1);
  if(k=="spec")spec=v;else if(k=="cap")cap=(u64)1<<atoi(v.c_str());else if(k=="procs"){for(size_t j=0;j<v.size()&&j<MT;j++)proc[j]=v[j]-'0';}
  else if(num.count(k))*num[k]=atoi(v.c_str());else if(names.count(a))*names[a]=true;else{fprintf(stderr,"? %s\n",a.c_str());return 2;}}
 parse(spec.c_str());
 if(K>MK||NS>ME||NF>MF||NP>MPG||SBCAP>MSB||T>MT){fprintf(stderr,"too large\n");return 2;}
 tab=(Ent*)mmap(0,cap*sizeof(Ent),PROT_READ|PROT_WRITE,MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE,-1,0);
 memset(&init,0,sizeof init);
 for(int f=0;f<NF;f++){if(resident>>f&1){init.m[E0+f]=mk(f,f,RES);init.m[PG+f]=f;}else{init.m[FW+f]=FREE;init.m[PG+f]=3;}}
 for(int t=0;t<T;t++){init.m[OW+t]=mko(proc[t],t);init.t[t].own=1<<t;}
 for(int t=0;t<T;t++)begin(init,t);
 invariant(init);
 vector<S> cur,nxt;cur.push_back(init);insert(fp(init),0);u64 trans=0,term=0;int depth=0;
 auto fail=[&](const char*at,u64 h){printf("VIOLATION %s%s  depth %d states %lu | %s\n",at,viol,depth,nst,spec.c_str());if(!quiet)trace(h);exit(1);};
 while(!cur.empty()){nxt.clear();
  for(auto&s:cur){u64 h=fp(s);viol=0;succ(s);int n=nout;trans+=n;
   if(viol)fail("(here) ",h);
   for(int i=0;i<n;i++){viol=outv[i];invariant(out[i]);u64 hq=fp(out[i]);if(insert(hq,h))nxt.push_back(out[i]);if(viol){depth++;fail("",hq);}}
   viol=0;
   if(alldone(s)){term++;terminal(s);if(viol)fail("at the end: ",h);}
   else if(!n){viol="deadlock";fail("",h);}
   if(solo_mod&&h%solo_mod==0){progress(s);if(viol)fail("",h);}
   if(nst>cap/100*85){printf("TABLE FULL (not exhaustive) depth %d states %lu | %s\n",depth,nst,spec.c_str());exit(3);}}
  cur.swap(nxt);depth++;}
 if(covf){for(int i=0;i<(int)(sizeof pcn/sizeof*pcn);i++)if(cov[i])printf("%s=%lu ",pcn[i],cov[i]);
  printf("\n rescues=%lu free lost=%lu reopen lost=%lu EINVAL=%lu trying met by put=%lu foreign puts=%lu recovery: freed=%lu reopened=%lu dirtied=%lu entries=%lu\n",c_rescue,c_lostfree,c_lostreopen,c_einval,c_trymet,c_foreign,c_recfree,c_recreop,c_recdirty,c_reccl);}
 printf("OK states %lu transitions %lu depth %d ends %lu | %s K=%d NS=%d NF=%d NP=%d SB=%d res=%d einv=%d tag=%d sw=%d die=%d/%d solo=%d\n",nst,trans,depth-1,term,spec.c_str(),K,NS,NF,NP,SBCAP,resident,einv,tagbits,sw,dieMask,maxDie,solo_mod);
}
