#!/usr/bin/env bash
# Makes the files of this folder, in this folder, with opj_compress and opj_decompress of OpenJPEG 2.5.0 (Debian: libopenjp2-tools).
# The picture is the one that Jpeg2000Test computes. NAME.pnm is what opj_decompress makes of a lossy NAME.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
python3 - "$work" <<'PY'
import sys
W, H = 37, 33
def sample(x, y, c, most):
    t = (x * 3 + y * 5 + c * 60) % 510
    v = min(255, min(t, 510 - t) + (x * y & 7))
    return v * most // 255
def write(name, channels, most):
    with open(sys.argv[1] + "/" + name, "wb") as f:
        f.write(b"P%d\n%d %d\n%d\n" % (6 if channels == 3 else 5, W, H, most))
        for y in range(H):
            for x in range(W):
                for c in range(channels):
                    f.write(sample(x, y, c, most).to_bytes(2 if most > 255 else 1, "big"))
write("rgb.ppm", 3, 255)
write("rgb16.ppm", 3, 65535)
write("grey.pgm", 1, 255)
write("grey12.pgm", 1, 4095)
# OpenJPEG reads halves of odd sizes rounded down, so this one is smaller.
with open(sys.argv[1] + "/420.raw", "wb") as f:
    f.write(bytes(sample(x, y, 0, 255) for y in range(32) for x in range(36)))
    for c in 1, 2:
        f.write(bytes(sample(2 * x, 2 * y, c, 255) for y in range(16) for x in range(18)))
with open(sys.argv[1] + "/four.raw", "wb") as f:
    f.write(bytes(sample(x, y, 0, 15) for y in range(H) for x in range(W)))
with open(sys.argv[1] + "/signed.raw", "wb") as f:
    f.write(bytes((sample(x, y, 0, 255) - 128) & 255 for y in range(H) for x in range(W)))
PY
encode() { # NAME INPUT OPTION...
  opj_compress -i "$work/$2" -o "$1" "${@:3}" >"$work/log" || { cat "$work/log" >&2; exit 1; }
}
lossy() { # NAME INPUT OPTION...
  encode "$@"
  opj_decompress -i "$1" -o "$work/decoded.${2##*.}" >"$work/log"
  mv "$work/decoded.${2##*.}" "$1.pnm"
}
encode plain.jp2 rgb.ppm
encode unmixed.j2k rgb.ppm -mct 0 -n 3
encode one-resolution.j2k grey.pgm -n 1
encode layers.j2k rgb.ppm -r 20,8,1
encode lrcp.j2k rgb.ppm -p LRCP -r 9,1 -t 20,17 -b 8,8 -c '[16,16],[8,8]' -SOP -EPH -n 4
encode rlcp.j2k rgb.ppm -p RLCP -r 9,1 -t 20,17 -b 8,8 -c '[16,16],[8,8]' -TP R -n 4
encode rpcl.j2k rgb.ppm -p RPCL -r 9,1 -t 20,17 -b 8,8 -c '[16,16],[8,8]' -TLM -PLT -n 4
encode pcrl.j2k rgb.ppm -p PCRL -r 9,1 -d 13,7 -T 5,2 -t 20,17 -b 8,8 -c '[16,16],[8,8]' -SOP -EPH -n 4
encode cprl.j2k rgb.ppm -p CPRL -r 9,1 -d 13,7 -b 4,16 -c '[16,32],[8,16]' -TP C -EPH -SOP -n 4
encode poc.j2k rgb.ppm -n 3 -POC T1=0,0,1,3,2,RLCP/T1=0,2,1,3,3,CPRL
encode bypass.j2k rgb.ppm -M 1 -b 16,16
encode bypass-terminated.j2k rgb.ppm -M 5 -b 16,16
encode reset-causal.j2k rgb.ppm -M 10 -b 16,16
encode all-styles.j2k rgb.ppm -M 63 -b 32,8 -r 7,1
encode predictable-marked.j2k rgb.ppm -M 52 -b 16,16
encode region.j2k rgb.ppm -ROI c=1,U=12 -mct 0
encode sixteen.j2k rgb16.ppm -n 3
encode twelve.j2k grey12.pgm
encode four.jp2 four.raw -F 37,33,1,4,u
encode signed.j2k signed.raw -F 37,33,1,8,s
encode 420.j2k 420.raw -F 36,32,3,8,u@1x1:2x2:2x2 -mct 0
encode 420.jp2 420.raw -F 36,32,3,8,u@1x1:2x2:2x2 -mct 0
lossy irreversible.j2k rgb.ppm -I -r 4
lossy irreversible-grey.j2k grey.pgm -I -q 30,45 -t 16,16 -d 3,5 -n 4
lossy irreversible-sixteen.j2k rgb16.ppm -I -r 4 -mct 0
lossy region-lossy.j2k rgb.ppm -I -ROI c=0,U=12 -mct 0 -r 3
lossy truncated.j2k rgb.ppm -r 6 -b 16,16
