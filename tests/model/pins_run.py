#!/usr/bin/env python3
"""Regression list for a model.  usage: ./pins_run.py [list] [by=PROGRAM] [--update] [extra options of the model]
PROGRAM: ./pins if none is given.  A line is 'spec ! options => expected' ('OK' or a part of the violation's text).  --update prints the list with what came out."""
import sys,subprocess,concurrent.futures as cf
a=sys.argv[1:];upd='--update' in a;a=[x for x in a if x!='--update']
name=a[0] if a and not '=' in a[0] else 'pins.runs';by='./'+next((x[3:] for x in a if x.startswith('by=')),'pins')
extra=[x for x in a if x!=name and not x.startswith('by=')]
def one(l):
    if not l.strip() or l[0]=='#': return l,None,None
    left,_,exp=l.partition('=>');spec,_,opt=left.partition('!')
    r=subprocess.run([by,'spec='+spec.strip(),'quiet']+opt.split()+extra,capture_output=True,text=True)
    o=(r.stdout.strip().split('\n')[-1] or r.stderr.strip())
    ok=o.startswith('OK') if exp.strip()=='OK' else o.startswith('VIOL') and exp.strip() in o
    return left.strip(),o,ok
fails=0
with cf.ThreadPoolExecutor(2) as ex:
    for left,o,ok in ex.map(one,[x.rstrip('\n') for x in open(name)]):
        if o is None: print(left) if upd else None; continue
        if upd: print(left,'=>','OK' if o.startswith('OK') else o.split('  depth')[0].replace('VIOLATION ','').replace('at the end: ','').replace('(here) ','')); continue
        fails+=not ok; print('ok  ' if ok else 'FAIL',left,'=>',o[:150],flush=True)
print(('# ' if upd else '')+('%d unexpected'%fails if not upd else 'end'))
sys.exit(fails>0)
