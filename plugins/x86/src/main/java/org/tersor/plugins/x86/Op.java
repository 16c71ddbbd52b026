package org.tersor.plugins.x86;

import java.util.List;

/**
 * The instructions that are encoded, one row each: encoding, prefix and map, opcode (after a slash
 * the digit of ModRM), form, then what else there is to say. Names are those of the manuals, with
 * an ending where one mnemonic has several encodings. Source: Intel SDM, volume 2.
 *
 * <p>Forms say what an instruction's operands are: {@code rvm} a destination, a register, a
 * register or memory; {@code rm} the same without the register; {@code mr} a register that is read,
 * and memory (or another register, read or written); {@code vm} a destination in the prefix; {@code
 * m} one operand; {@code o} one in the opcode; {@code -} none.
 */
enum Op {
  // Integer registers; the operand's size chooses W.
  ADD("leg 03 rm tied"),
  SUB("leg 2b rm tied"),
  AND("leg 23 rm tied"),
  OR("leg 0b rm tied"),
  XOR("leg 33 rm tied"),
  ADDI("leg 81/0 m tied immx"),
  SUBI("leg 81/5 m tied immx"),
  ANDI("leg 81/4 m tied immx"),
  ORI("leg 81/1 m tied immx"),
  XORI("leg 81/6 m tied immx"),
  CMP("leg 3b mr flags"),
  CMPI("leg 81/7 m immx flags"),
  TEST("leg 85 mr flags"),
  IMUL("leg 0f.af rm tied"),
  IMULI("leg 69 rm immx"),
  NEG("leg f7/3 m tied"),
  NOT("leg f7/2 m tied"),
  IDIV("leg f7/7 m flags"),
  DIV("leg f7/6 m flags"),
  CDQ("leg 99 - flags"),
  SHLI("leg c1/4 m tied imm8"),
  SHRI("leg c1/5 m tied imm8"),
  SARI("leg c1/7 m tied imm8"),
  MOV("leg 8b rm"),
  MOVZB("leg 0f.b6 rm low"),
  MOVZW("leg 0f.b7 rm"),
  MOVSB("leg 0f.be rm low"),
  MOVSW("leg 0f.bf rm"),
  MOVSD("leg 63 rm"),
  STORE("leg 89 mr"),
  STOREW("leg 66.89 mr"),
  STOREB("leg 88 mr low"),
  MOVI("leg c7/0 m imm32"),
  MOVIQ("leg b8 o imm64"),
  LEA("leg 8d rm"),
  POPCNT("leg f3.0f.b8 rm"),
  SETCC("leg 0f.90/0 m low cc"),
  CMOVCC("leg 0f.40 rm tied cc"),
  JCC("leg 0f.80 - jump cc"),
  JMP("leg e9 - jump"),
  CALL("leg e8 - jump"),
  CALLM("leg ff/2 m wide flags"),
  RET("leg c3 - flags"),
  VZEROUPPER("leg 77 - flags"),
  PUSH("leg 50 o wide"),
  POP("leg 58 o wide"),
  PREFETCHT0("leg 0f.18/1 m wide flags"),
  SHLX("vex 66.0f38.ws f7 rvm"),
  SHRX("vex f2.0f38.ws f7 rvm"),
  SARX("vex f3.0f38.ws f7 rvm"),
  BZHI("vex 0f38.ws f5 rvm"),

  // Mask registers.
  KMOV("vex 0f.w1 90 rm"),
  KSTORE("vex 0f.w1 91 mr"),
  KMOVG("vex f2.0f.w1 92 rm rr"),
  KMOVTOG("vex f2.0f.w1 93 rm rr"),
  KAND("vex 0f.w1.l1 41 rvm rr"),
  KANDN("vex 0f.w1.l1 42 rvm rr"),
  KOR("vex 0f.w1.l1 45 rvm rr"),
  KXNOR("vex 0f.w1.l1 46 rvm rr"),
  KXOR("vex 0f.w1.l1 47 rvm rr"),
  KNOTB("vex 66.0f.w0 44 rm rr"),
  KNOTW("vex 0f.w0 44 rm rr"),
  KNOTD("vex 66.0f.w1 44 rm rr"),
  KNOTQ("vex 0f.w1 44 rm rr"),
  KSHIFTRQ("vex 66.0f3a.w1 31 rm rr imm8"),
  KSHIFTLQ("vex 66.0f3a.w1 33 rm rr imm8"),
  KORTESTQ("vex 0f.w1 98 mr rr flags"),

  // Arithmetic of floats.
  VADDPS("evex 0f.w0 58 rvm fv"),
  VADDPD("evex 66.0f.w1 58 rvm fv"),
  VADDSS("evex f3.0f.w0 58 rvm s4"),
  VADDSD("evex f2.0f.w1 58 rvm s8"),
  VMULPS("evex 0f.w0 59 rvm fv"),
  VMULPD("evex 66.0f.w1 59 rvm fv"),
  VMULSS("evex f3.0f.w0 59 rvm s4"),
  VMULSD("evex f2.0f.w1 59 rvm s8"),
  VSUBPS("evex 0f.w0 5c rvm fv"),
  VSUBPD("evex 66.0f.w1 5c rvm fv"),
  VSUBSS("evex f3.0f.w0 5c rvm s4"),
  VSUBSD("evex f2.0f.w1 5c rvm s8"),
  VMINPS("evex 0f.w0 5d rvm fv"),
  VMINPD("evex 66.0f.w1 5d rvm fv"),
  VDIVPS("evex 0f.w0 5e rvm fv"),
  VDIVPD("evex 66.0f.w1 5e rvm fv"),
  VDIVSS("evex f3.0f.w0 5e rvm s4"),
  VDIVSD("evex f2.0f.w1 5e rvm s8"),
  VMAXPS("evex 0f.w0 5f rvm fv"),
  VMAXPD("evex 66.0f.w1 5f rvm fv"),
  VSQRTPS("evex 0f.w0 51 rm fv"),
  VSQRTPD("evex 66.0f.w1 51 rm fv"),
  VSQRTSS("evex f3.0f.w0 51 rvm s4"),
  VSQRTSD("evex f2.0f.w1 51 rvm s8"),
  VFMADD132PS("evex 66.0f38.w0 98 rvm fv tied"),
  VFMADD132PD("evex 66.0f38.w1 98 rvm fv tied"),
  VFMADD132SS("evex 66.0f38.w0 99 rvm s4 tied"),
  VFMADD132SD("evex 66.0f38.w1 99 rvm s8 tied"),
  VFMADD213PS("evex 66.0f38.w0 a8 rvm fv tied"),
  VFMADD213PD("evex 66.0f38.w1 a8 rvm fv tied"),
  VFMADD213SS("evex 66.0f38.w0 a9 rvm s4 tied"),
  VFMADD213SD("evex 66.0f38.w1 a9 rvm s8 tied"),
  VFMADD231PS("evex 66.0f38.w0 b8 rvm fv tied"),
  VFMADD231PD("evex 66.0f38.w1 b8 rvm fv tied"),
  VFMADD231SS("evex 66.0f38.w0 b9 rvm s4 tied"),
  VFMADD231SD("evex 66.0f38.w1 b9 rvm s8 tied"),
  VRANGEPS("evex 66.0f3a.w0 50 rvm fv imm8"),
  VRANGEPD("evex 66.0f3a.w1 50 rvm fv imm8"),
  VRNDSCALEPS("evex 66.0f3a.w0 08 rm fv imm8"),
  VRNDSCALEPD("evex 66.0f3a.w1 09 rm fv imm8"),
  VCMPPS("evex 0f.w0 c2 rvm fv imm8"),
  VCMPPD("evex 66.0f.w1 c2 rvm fv imm8"),
  VCMPSS("evex f3.0f.w0 c2 rvm s4 imm8"),
  VCMPSD("evex f2.0f.w1 c2 rvm s8 imm8"),
  VUCOMISS("evex 0f.w0 2e mr s4 flags"),
  VUCOMISD("evex 66.0f.w1 2e mr s8 flags"),

  // Arithmetic of integers.
  VPANDD("evex 66.0f.w0 db rvm fv"),
  VPANDQ("evex 66.0f.w1 db rvm fv"),
  VPANDND("evex 66.0f.w0 df rvm fv"),
  VPORD("evex 66.0f.w0 eb rvm fv"),
  VPORQ("evex 66.0f.w1 eb rvm fv"),
  VPXORD("evex 66.0f.w0 ef rvm fv"),
  VPXORQ("evex 66.0f.w1 ef rvm fv"),
  VPTERNLOGD("evex 66.0f3a.w0 25 rvm fv imm8 tied"),
  VPADDB("evex 66.0f.w0 fc rvm fvm"),
  VPADDW("evex 66.0f.w0 fd rvm fvm"),
  VPADDD("evex 66.0f.w0 fe rvm fv"),
  VPADDQ("evex 66.0f.w1 d4 rvm fv"),
  VPSUBB("evex 66.0f.w0 f8 rvm fvm"),
  VPSUBW("evex 66.0f.w0 f9 rvm fvm"),
  VPSUBD("evex 66.0f.w0 fa rvm fv"),
  VPSUBQ("evex 66.0f.w1 fb rvm fv"),
  VPMULLW("evex 66.0f.w0 d5 rvm fvm"),
  VPMULLD("evex 66.0f38.w0 40 rvm fv"),
  VPMULLQ("evex 66.0f38.w1 40 rvm fv"),
  VPMINSB("evex 66.0f38.w0 38 rvm fvm"),
  VPMINSW("evex 66.0f.w0 ea rvm fvm"),
  VPMINSD("evex 66.0f38.w0 39 rvm fv"),
  VPMINSQ("evex 66.0f38.w1 39 rvm fv"),
  VPMINUB("evex 66.0f.w0 da rvm fvm"),
  VPMINUW("evex 66.0f38.w0 3a rvm fvm"),
  VPMINUD("evex 66.0f38.w0 3b rvm fv"),
  VPMINUQ("evex 66.0f38.w1 3b rvm fv"),
  VPMAXSB("evex 66.0f38.w0 3c rvm fvm"),
  VPMAXSW("evex 66.0f.w0 ee rvm fvm"),
  VPMAXSD("evex 66.0f38.w0 3d rvm fv"),
  VPMAXSQ("evex 66.0f38.w1 3d rvm fv"),
  VPMAXUB("evex 66.0f.w0 de rvm fvm"),
  VPMAXUW("evex 66.0f38.w0 3e rvm fvm"),
  VPMAXUD("evex 66.0f38.w0 3f rvm fv"),
  VPMAXUQ("evex 66.0f38.w1 3f rvm fv"),
  VPABSB("evex 66.0f38.w0 1c rm fvm"),
  VPABSW("evex 66.0f38.w0 1d rm fvm"),
  VPABSD("evex 66.0f38.w0 1e rm fv"),
  VPABSQ("evex 66.0f38.w1 1f rm fv"),
  VPSLLVW("evex 66.0f38.w1 12 rvm fvm"),
  VPSLLVD("evex 66.0f38.w0 47 rvm fv"),
  VPSLLVQ("evex 66.0f38.w1 47 rvm fv"),
  VPSRLVW("evex 66.0f38.w1 10 rvm fvm"),
  VPSRLVD("evex 66.0f38.w0 45 rvm fv"),
  VPSRLVQ("evex 66.0f38.w1 45 rvm fv"),
  VPSRAVW("evex 66.0f38.w1 11 rvm fvm"),
  VPSRAVD("evex 66.0f38.w0 46 rvm fv"),
  VPSRAVQ("evex 66.0f38.w1 46 rvm fv"),
  VPSLLW("evex 66.0f.w0 71/6 vm fvm imm8"),
  VPSRLW("evex 66.0f.w0 71/2 vm fvm imm8"),
  VPSRAW("evex 66.0f.w0 71/4 vm fvm imm8"),
  VPSLLD("evex 66.0f.w0 72/6 vm fv imm8"),
  VPSRLD("evex 66.0f.w0 72/2 vm fv imm8"),
  VPSRAD("evex 66.0f.w0 72/4 vm fv imm8"),
  VPSLLQ("evex 66.0f.w1 73/6 vm fv imm8"),
  VPSRLQ("evex 66.0f.w1 73/2 vm fv imm8"),
  VPSRAQ("evex 66.0f.w1 72/4 vm fv imm8"),
  VPSRLDQ("evex 66.0f.w0 73/3 vm fvm imm8"),
  VPSLLDQ("evex 66.0f.w0 73/7 vm fvm imm8"),
  VPMADDWD("evex 66.0f.w0 f5 rvm fvm"),
  VPDPBUSD("evex 66.0f38.w0 50 rvm fv tied"),
  VDPBF16PS("evex f3.0f38.w0 52 rvm fv tied"),

  // Comparisons to masks.
  VPCMPB("evex 66.0f3a.w0 3f rvm fvm imm8"),
  VPCMPUB("evex 66.0f3a.w0 3e rvm fvm imm8"),
  VPCMPW("evex 66.0f3a.w1 3f rvm fvm imm8"),
  VPCMPUW("evex 66.0f3a.w1 3e rvm fvm imm8"),
  VPCMPD("evex 66.0f3a.w0 1f rvm fv imm8"),
  VPCMPUD("evex 66.0f3a.w0 1e rvm fv imm8"),
  VPCMPQ("evex 66.0f3a.w1 1f rvm fv imm8"),
  VPCMPUQ("evex 66.0f3a.w1 1e rvm fv imm8"),
  VPTESTMB("evex 66.0f38.w0 26 rvm fvm"),
  VPTESTMW("evex 66.0f38.w1 26 rvm fvm"),
  VPTESTMD("evex 66.0f38.w0 27 rvm fv"),
  VPTESTMQ("evex 66.0f38.w1 27 rvm fv"),

  // Moves.
  VMOVAPS("evex 0f.w0 28 rm fvm"),
  VMOVDQU8("evex f2.0f.w0 6f rm fvm"),
  VMOVDQU16("evex f2.0f.w1 6f rm fvm"),
  VMOVDQU32("evex f3.0f.w0 6f rm fvm"),
  VMOVDQU64("evex f3.0f.w1 6f rm fvm"),
  VSTOREDQU8("evex f2.0f.w0 7f mr fvm"),
  VSTOREDQU16("evex f2.0f.w1 7f mr fvm"),
  VSTOREDQU32("evex f3.0f.w0 7f mr fvm"),
  VSTOREDQU64("evex f3.0f.w1 7f mr fvm"),
  VMOVD("evex 66.0f.w0 6e rm s4"),
  VMOVQ("evex 66.0f.w1 6e rm s8"),
  VMOVDTO("evex 66.0f.w0 7e mr s4"),
  VMOVQTO("evex 66.0f.w1 7e mr s8"),
  VLOADSS("evex f3.0f.w0 10 rm s4"),
  VLOADSD("evex f2.0f.w1 10 rm s8"),
  VSTORESS("evex f3.0f.w0 11 mr s4"),
  VSTORESD("evex f2.0f.w1 11 mr s8"),
  VPBROADCASTB("evex 66.0f38.w0 78 rm s1"),
  VPBROADCASTW("evex 66.0f38.w0 79 rm s2"),
  VPBROADCASTD("evex 66.0f38.w0 58 rm s4"),
  VPBROADCASTQ("evex 66.0f38.w1 59 rm s8"),
  VPBROADCASTBG("evex 66.0f38.w0 7a rm rr"),
  VPBROADCASTWG("evex 66.0f38.w0 7b rm rr"),
  VPBROADCASTDG("evex 66.0f38.w0 7c rm rr"),
  VPBROADCASTQG("evex 66.0f38.w1 7c rm rr"),
  VPBLENDMB("evex 66.0f38.w0 66 rvm fvm blend"),
  VPBLENDMW("evex 66.0f38.w1 66 rvm fvm blend"),
  VPBLENDMD("evex 66.0f38.w0 64 rvm fv blend"),
  VPBLENDMQ("evex 66.0f38.w1 64 rvm fv blend"),
  VPMOVM2B("evex f3.0f38.w0 28 rm rr"),
  VPMOVM2W("evex f3.0f38.w1 28 rm rr"),
  VPMOVM2D("evex f3.0f38.w0 38 rm rr"),
  VPMOVM2Q("evex f3.0f38.w1 38 rm rr"),
  VPMOVB2M("evex f3.0f38.w0 29 rm rr"),
  VPMOVW2M("evex f3.0f38.w1 29 rm rr"),

  // Shuffles.
  VPERMW("evex 66.0f38.w1 8d rvm fvm"),
  VPERMT2W("evex 66.0f38.w1 7d rvm fvm tied"),
  VPERMD("evex 66.0f38.w0 36 rvm fv"),
  VPERMT2D("evex 66.0f38.w0 7e rvm fv tied"),
  VPERMQ("evex 66.0f38.w1 36 rvm fv"),
  VPERMT2Q("evex 66.0f38.w1 7e rvm fv tied"),
  VPSHUFB("evex 66.0f38.w0 00 rvm fvm"),
  VPSHUFD("evex 66.0f.w0 70 rm fv imm8"),
  VPUNPCKLQDQ("evex 66.0f.w1 6c rvm fv"),
  VINSERTI32X4("evex 66.0f3a.w0 38 rvm m16 imm8"),
  VINSERTI64X4("evex 66.0f3a.w1 3a rvm m32 imm8"),
  VEXTRACTI32X4("evex 66.0f3a.w0 39 mr m16 imm8"),
  VEXTRACTI64X4("evex 66.0f3a.w1 3b mr m32 imm8"),
  VALIGND("evex 66.0f3a.w0 03 rvm fv imm8"),
  VPGATHERQD("evex 66.0f38.w0 91 rm vsib s4 tied"),
  VPGATHERQQ("evex 66.0f38.w1 91 rm vsib s8 tied"),

  // Conversions.
  VPMOVSXBW("evex 66.0f38.w0 20 rm hvm"),
  VPMOVSXBD("evex 66.0f38.w0 21 rm qvm"),
  VPMOVSXBQ("evex 66.0f38.w0 22 rm ovm"),
  VPMOVSXWD("evex 66.0f38.w0 23 rm hvm"),
  VPMOVSXWQ("evex 66.0f38.w0 24 rm qvm"),
  VPMOVSXDQ("evex 66.0f38.w0 25 rm hvm"),
  VPMOVZXBW("evex 66.0f38.w0 30 rm hvm"),
  VPMOVZXBD("evex 66.0f38.w0 31 rm qvm"),
  VPMOVZXBQ("evex 66.0f38.w0 32 rm ovm"),
  VPMOVZXWD("evex 66.0f38.w0 33 rm hvm"),
  VPMOVZXWQ("evex 66.0f38.w0 34 rm qvm"),
  VPMOVZXDQ("evex 66.0f38.w0 35 rm hvm"),
  VPMOVWB("evex f3.0f38.w0 30 mr hvm"),
  VPMOVDB("evex f3.0f38.w0 31 mr qvm"),
  VPMOVQB("evex f3.0f38.w0 32 mr ovm"),
  VPMOVDW("evex f3.0f38.w0 33 mr hvm"),
  VPMOVQW("evex f3.0f38.w0 34 mr qvm"),
  VPMOVQD("evex f3.0f38.w0 35 mr hvm"),
  VPMOVSDB("evex f3.0f38.w0 21 mr qvm"),
  VPMOVUSDB("evex f3.0f38.w0 11 mr qvm"),
  VCVTDQ2PS("evex 0f.w0 5b rm fv"),
  VCVTUDQ2PS("evex f2.0f.w0 7a rm fv"),
  VCVTQQ2PS("evex 0f.w1 5b rm fv"),
  VCVTUQQ2PS("evex f2.0f.w1 7a rm fv"),
  VCVTDQ2PD("evex f3.0f.w0 e6 rm hv"),
  VCVTUDQ2PD("evex f3.0f.w0 7a rm hv"),
  VCVTQQ2PD("evex f3.0f.w1 e6 rm fv"),
  VCVTUQQ2PD("evex f3.0f.w1 7a rm fv"),
  VCVTPS2DQ("evex 66.0f.w0 5b rm fv"),
  VCVTTPS2DQ("evex f3.0f.w0 5b rm fv"),
  VCVTTPS2UDQ("evex 0f.w0 78 rm fv"),
  VCVTTPS2QQ("evex 66.0f.w0 7a rm hv"),
  VCVTTPS2UQQ("evex 66.0f.w0 78 rm hv"),
  VCVTTPD2DQ("evex 66.0f.w1 e6 rm fv"),
  VCVTTPD2UDQ("evex 0f.w1 78 rm fv"),
  VCVTTPD2QQ("evex 66.0f.w1 7a rm fv"),
  VCVTTPD2UQQ("evex 66.0f.w1 78 rm fv"),
  VCVTPS2PD("evex 0f.w0 5a rm hv"),
  VCVTPD2PS("evex 66.0f.w1 5a rm fv"),
  VCVTPH2PS("evex 66.0f38.w0 13 rm hvm"),
  VCVTPS2PH("evex 66.0f3a.w0 1d mr hvm imm8"),

  // What the register allocator knows, and the encoder does not see.
  /** A register of unknown contents is declared: nothing before is live. */
  DECLARE("none 00 rm"),
  /** A label. */
  LABEL("none 00 - flags"),
  /** The first and the last instruction of a loop. */
  LOOP("none 00 - flags"),
  END("none 00 - flags");

  /** How an instruction is encoded. */
  enum Encoding {
    LEG,
    VEX,
    EVEX,
    NONE
  }

  final Encoding encoding;

  /** 0, or 0x66, 0xf3, 0xf2. */
  final int prefix;

  /** 0 one byte, 1 0F, 2 0F38, 3 0F3A. */
  final int map;

  /** -1: by the operand's size. */
  final int w;

  final boolean l1;
  final int opcode;

  /** The digit in ModRM, or -1. */
  final int digit;

  final String form;

  /** Bytes of memory: fv, hv (with broadcast), fvm, hvm, qvm, ovm, s1...s8, m16, m32. */
  final String tuple;

  /** imm8, imm32, imm64, immx (8 or 32) or nothing. */
  final String imm;

  /** Whether the destination is read too. */
  final boolean tied;

  /** Whether something happens beside the destination. */
  final boolean effect;

  /** Whether no operand may be memory. */
  final boolean registersOnly;

  /** Whether a register operand is one of 8 bits. */
  final boolean low;

  @SuppressWarnings("ImmutableEnumChecker") // a list that nobody changes
  private final List<String> notes;

  Op(String row) {
    List<String> words = List.of(row.split(" ", -1));
    this.encoding =
        switch (words.getFirst()) {
          case "leg" -> Encoding.LEG;
          case "vex" -> Encoding.VEX;
          case "evex" -> Encoding.EVEX;
          default -> Encoding.NONE;
        };
    boolean legacy = encoding == Encoding.LEG || encoding == Encoding.NONE;
    List<String> code = List.of(words.get(1).split("\\.", -1));
    this.prefix =
        code.contains("66") ? 0x66 : code.contains("f3") ? 0xf3 : code.contains("f2") ? 0xf2 : 0;
    this.map =
        code.contains("0f") && (!legacy || code.size() > 1)
            ? 1
            : code.contains("0f38") ? 2 : code.contains("0f3a") ? 3 : 0;
    this.w = code.contains("w1") ? 1 : code.contains("w0") ? 0 : -1;
    this.l1 = code.contains("l1");
    String[] number = (legacy ? code.getLast() : words.get(2)).split("/", -1);
    this.opcode = Integer.parseInt(number[0], 16);
    this.digit = number.length > 1 ? Integer.parseInt(number[1]) : -1;
    this.form = words.get(legacy ? 2 : 3);
    this.notes = words.subList(legacy ? 3 : 4, words.size());
    this.imm = notes.stream().filter(n -> n.startsWith("imm")).findFirst().orElse("");
    this.tuple =
        notes.stream().filter(n -> n.matches("[fhqo]vm?|[sm][0-9]+")).findFirst().orElse("");
    this.tied = notes.contains("tied");
    this.effect = notes.contains("flags") || notes.contains("jump");
    this.registersOnly = notes.contains("rr") || notes.contains("vsib");
    this.low = notes.contains("low");
  }

  boolean is(String note) {
    return notes.contains(note);
  }

  /** Bytes that the memory operand stands for. */
  int memoryBytes(int size, boolean broadcast) {
    if (broadcast) {
      return w == 1 ? 8 : 4;
    }
    return switch (tuple) {
      case "fv", "fvm" -> size;
      case "hv", "hvm" -> size / 2;
      case "qvm" -> size / 4;
      case "ovm" -> size / 8;
      case "" -> size;
      default -> Integer.parseInt(tuple.substring(1));
    };
  }
}
