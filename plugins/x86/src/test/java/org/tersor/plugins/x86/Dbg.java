package org.tersor.plugins.x86;
import org.tersor.ir.loop.*;
import org.tersor.ir.schedule.Target;
class Dbg { public static void main(String[] a){ System.out.println(LoopPrinter.print(Legalizer.legalize(new RandomFunctions(Long.parseLong(a[0])).function(), Target.nativeTarget("avx512vnni")))); } }
