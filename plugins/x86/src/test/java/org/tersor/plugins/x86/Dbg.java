package org.tersor.plugins.x86;
import org.tersor.ir.loop.*;
import org.tersor.ir.schedule.Target;
import java.util.*;
class Dbg { public static void main(String[] a){ 
 Target t=Target.nativeTarget("avx512vnni");
 if (a[0].equals("h")) {
  Type h=new Type(Scalar.F16,4);
  Expr ld=new Expr.Load(h,"a",new Expr.IntConst(Type.INDEX,0),Optional.empty());
  Expr f=new Expr.Cast(new Type(Scalar.F32,4),ld,false);
  Expr i=new Expr.Cast(new Type(Scalar.I32,4),f,false);
  LoopFunction fn=new LoopFunction("x",List.of(new LoopFunction.BufferParam("a",Scalar.F16,false),new LoopFunction.BufferParam("o",Scalar.F32,true),new LoopFunction.BufferParam("p",Scalar.I32,true)),List.of(),new Stmt.Block(List.of(new Stmt.Store("o",new Expr.IntConst(Type.INDEX,0),f,Optional.empty()),new Stmt.Store("p",new Expr.IntConst(Type.INDEX,0),i,Optional.empty()))));
  var code=Compiled.of(fn,t); var in=LoopInterpreter.compile(fn); int bad=0;
  for(int v=0;v<65536;v+=4){ short[] s={(short)v,(short)(v+1),(short)(v+2),(short)(v+3)}; float[] o=new float[4],o2=new float[4]; int[] p=new int[4],p2=new int[4];
   code.run(new Object[]{s,o,p},new int[3],new int[0],0,1); in.run(new Object[]{s,o2,p2},new int[3],new int[0],0,1);
   for(int k=0;k<4;k++) if((Float.floatToIntBits(o[k])!=Float.floatToIntBits(o2[k])||p[k]!=p2[k])&&bad++<10) System.out.println(Integer.toHexString(v+k)+" "+o[k]+" "+o2[k]+" "+p[k]+" "+p2[k]); }
  return; }
 System.out.println(LoopPrinter.print(Legalizer.legalize(new RandomFunctions(Long.parseLong(a[0])).function(), t))); } }
