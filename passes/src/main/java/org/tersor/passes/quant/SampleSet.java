package org.tersor.passes.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.tersor.ir.graph.ModelMetadata;
import org.tersor.runtime.Tensor;

/**
 * Which samples were used, by SHA-256 of their decoded elements. A plan and a model that was made
 * by it keep the hash of all and marks of the {@value #MARKS} samples with the least hashes: enough
 * to see whether a model is judged by samples that it was calibrated with.
 */
public final class SampleSet {
  /** Header of plans, and with {@link ModelMetadata#TERSOR} before it, metadata of models. */
  public static final String KEY = "calibration.";

  private static final int MARKS = 256;
  private static final int MARK = 8;

  private final TreeSet<String> hashes = new TreeSet<>();

  /** The samples, which are noted when they are looked at the first time. */
  public Iterable<Map<String, Tensor>> watching(Iterable<Map<String, Tensor>> samples) {
    int[] noted = {0};
    return () -> {
      Iterator<Map<String, Tensor>> all = samples.iterator();
      int[] at = {0};
      return new Iterator<>() {
        @Override
        public boolean hasNext() {
          return all.hasNext();
        }

        @Override
        public Map<String, Tensor> next() {
          Map<String, Tensor> sample = all.next();
          if (at[0]++ == noted[0]) {
            noted[0]++;
            add(sample);
          }
          return sample;
        }
      };
    };
  }

  /** Notes one sample. */
  public void add(Map<String, Tensor> sample) {
    hashes.add(hash(sample, 0, 1));
  }

  /** Notes the samples of one call, along the outermost dimension of each input. */
  public void add(Map<String, Tensor> call, int batch) {
    for (int i = 0; i < batch; i++) {
      hashes.add(hash(call, i, batch));
    }
  }

  /** Hash of each sample. */
  Set<String> hashes() {
    return hashes;
  }

  void addAll(Set<String> seen) {
    hashes.addAll(seen);
  }

  /** How many different samples there are. */
  public int size() {
    return hashes.size();
  }

  /** Of all samples, in any order. */
  public String sha256() {
    MessageDigest digest = Checksums.sha256();
    hashes.forEach(hash -> digest.update(hash.getBytes(StandardCharsets.UTF_8)));
    return HexFormat.of().formatHex(digest.digest());
  }

  /** What a plan says of samples; nothing if there are none. */
  public Map<String, String> header() {
    Map<String, String> header = new TreeMap<>();
    if (!hashes.isEmpty()) {
      header.put(KEY + "samples", Integer.toString(size()));
      header.put(KEY + "sha256", sha256());
      header.put(
          KEY + "marks",
          hashes.stream()
              .limit(MARKS)
              .map(h -> h.substring(0, MARK))
              .collect(Collectors.joining()));
    }
    return header;
  }

  /**
   * How many of these samples are marked.
   *
   * @param metadata of a model, or facts of an artifact; without marks 0
   */
  public int sharedWith(Map<String, String> metadata) {
    String marks =
        metadata.getOrDefault(
            ModelMetadata.TERSOR + KEY + "marks", metadata.getOrDefault(KEY + "marks", ""));
    Set<String> marked = new TreeSet<>();
    for (int at = 0; at + MARK <= marks.length(); at += MARK) {
      marked.add(marks.substring(at, at + MARK));
    }
    return (int) hashes.stream().filter(h -> marked.contains(h.substring(0, MARK))).count();
  }

  /** Of one sample of a call: names, and elements as float64 bits. */
  static String hash(Map<String, Tensor> call, int index, int batch) {
    MessageDigest digest = Checksums.sha256();
    new TreeMap<>(call)
        .forEach((name, tensor) -> {
          digest.update(name.getBytes(StandardCharsets.UTF_8));
          int part = tensor.size() / batch;
          ByteBuffer buffer =
              ByteBuffer.allocate(Math.multiplyExact(8, Math.max(1, part)))
                  .order(ByteOrder.LITTLE_ENDIAN);
          for (int i = index * part; i < (index + 1) * part; i++) {
            buffer.putDouble(tensor.getDouble(i));
          }
          digest.update(buffer.flip());
        });
    return HexFormat.of().formatHex(digest.digest());
  }
}
