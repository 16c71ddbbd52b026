package org.tersor.plugins.int8;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.tersor.ir.format.FormatFamily;
import org.tersor.ir.format.NumberFormat;

/** Integer formats, e.g. {@code s4_symmetric_channel} or {@code u4_affine_g32}. */
public final class IntegerFormats implements FormatFamily {
  private static final Pattern ID =
      Pattern.compile(
          "([su])(2|3|4|5|6|8|16)_(symmetric|pow2|affine|float)"
              + "_(tensor|channel|g(16|32|64|128|256))(_restricted)?");

  @Override
  public List<NumberFormat> listed() {
    return Stream.of(
            "s8_symmetric_tensor",
            "s8_symmetric_tensor_restricted",
            "s8_symmetric_channel",
            "s8_symmetric_channel_restricted",
            "s8_affine_tensor",
            "s8_affine_channel",
            "u8_symmetric_tensor",
            "u8_symmetric_channel",
            "u8_affine_tensor",
            "u8_affine_channel",
            "s4_symmetric_channel_restricted",
            "u4_affine_channel",
            "u4_affine_g32",
            "u4_float_g32")
        .flatMap(id -> find(id).stream())
        .toList();
  }

  @Override
  public Optional<NumberFormat> find(String id) {
    Matcher spelt = ID.matcher(id);
    if (!spelt.matches()) {
      return Optional.empty();
    }
    boolean signed = spelt.group(1).equals("s");
    boolean restricted = spelt.group(6) != null;
    IntegerFormat.Grid grid =
        Stream.of(IntegerFormat.Grid.values())
            .filter(g -> g.text().equals(spelt.group(3)))
            .findFirst()
            .orElseThrow();
    // Only a signed grid around zero has a code too many.
    if (restricted && !(signed && grid.centred())) {
      return Optional.empty();
    }
    int group =
        switch (spelt.group(4)) {
          case "tensor" -> IntegerFormat.TENSOR;
          case "channel" -> IntegerFormat.CHANNEL;
          default -> Integer.parseInt(spelt.group(5));
        };
    return Optional.of(
        new IntegerFormat(Integer.parseInt(spelt.group(2)), signed, grid, group, restricted));
  }

  @Override
  public String grammar() {
    return "s|u BITS _ symmetric|pow2|affine|float _ tensor|channel|gN [_restricted],"
        + " BITS 2, 3, 4, 5, 6, 8 or 16, N 16 to 256";
  }

  /** Weights per output channel, activations per tensor; A16 leaves them float. */
  @Override
  public Map<String, Scheme> schemes() {
    Map<String, Scheme> schemes = new LinkedHashMap<>();
    for (String name :
        List.of("w8a8", "w8a16", "w6a6", "w4a16", "w4a8", "w4a4", "w3a16", "w2a16")) {
      String weights = name.substring(1, 2);
      String activations = name.substring(3);
      schemes.put(
          name,
          new Scheme(
              "s" + weights + "_symmetric_channel_restricted",
              activations.equals("16")
                  ? Optional.empty()
                  : Optional.of("u" + activations + "_affine_tensor")));
    }
    return schemes;
  }
}
