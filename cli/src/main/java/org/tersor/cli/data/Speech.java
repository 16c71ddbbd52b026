package org.tersor.cli.data;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;
import javax.sound.sampled.UnsupportedAudioFileException;
import org.tersor.runtime.TersorException;

/**
 * Recordings with labels of where somebody speaks: X.wav (one channel, 16 bits) beside X.scv; where
 * there is none nobody speaks. It holds a name followed by start, end (seconds) and label (0 or 1),
 * all separated by commas.
 */
public final class Speech {
  private Speech() {}

  /** From {@code start} to {@code end}, in seconds. */
  private record Segment(double start, double end, boolean speech) {}

  /**
   * A recording.
   *
   * @param samples in -1..1
   */
  public record Recording(String name, int rate, float[] samples, List<Boolean> labels) {}

  /** Recordings of a folder, or of its folder testset, by name. */
  public static List<Path> files(Path folder) throws IOException {
    Path inner = folder.resolve("testset");
    try (Stream<Path> files = Files.list(Files.isDirectory(inner) ? inner : folder)) {
      List<Path> found = files.filter(f -> f.toString().endsWith(".wav")).sorted().toList();
      if (found.isEmpty()) {
        throw new TersorException("TSR-0902", folder + " holds no .wav files");
      }
      return found;
    }
  }

  /**
   * Reads a recording with a label for each whole frame: that at its middle.
   *
   * @param frame samples of a frame
   */
  public static Recording read(Path file, int frame) throws IOException {
    Sound sound = sound(file);
    float[] samples = sound.samples();
    int rate = sound.rate();
    List<Segment> segments = segments(file);
    List<Boolean> labels = new ArrayList<>();
    for (int from = 0; from + frame <= samples.length; from += frame) {
      double middle = (from + frame / 2.0) / rate;
      labels.add(segments.stream().anyMatch(s -> s.speech && s.start <= middle && middle < s.end));
    }
    return new Recording(String.valueOf(file.getFileName()), rate, samples, labels);
  }

  private record Sound(int rate, float[] samples) {}

  /** The samples of a recording of one channel of 16 bits, in -1..1. */
  public static float[] samples(Path file) throws IOException {
    return sound(file).samples();
  }

  /** How many samples a recording says that it has; they are not read. */
  static int length(Path file) throws IOException {
    try (AudioInputStream in = open(file)) {
      long frames = in.getFrameLength();
      if (frames < 0 || frames > Integer.MAX_VALUE) {
        throw new TersorException("TSR-0903", file + " does not say how long it is");
      }
      return (int) frames;
    }
  }

  private static AudioInputStream open(Path file) throws IOException {
    try {
      AudioInputStream in = AudioSystem.getAudioInputStream(file.toFile());
      AudioFormat format = in.getFormat();
      if (format.getChannels() != 1
          || format.getSampleSizeInBits() != 16
          || !format.getEncoding().equals(AudioFormat.Encoding.PCM_SIGNED)) {
        in.close();
        throw new TersorException(
            "TSR-0903", file + " must have one channel of 16 bits, not " + format);
      }
      return in;
    } catch (UnsupportedAudioFileException e) {
      throw new TersorException("TSR-0903", file + " is no .wav file that can be read", e);
    }
  }

  private static Sound sound(Path file) throws IOException {
    try (AudioInputStream in = open(file)) {
      AudioFormat format = in.getFormat();
      byte[] bytes = in.readAllBytes();
      float[] samples = new float[bytes.length / 2];
      int low = format.isBigEndian() ? 1 : 0;
      for (int i = 0; i < samples.length; i++) {
        samples[i] = (short) ((bytes[2 * i + low] & 255) | (bytes[2 * i + 1 - low] << 8)) / 32768f;
      }
      return new Sound(Math.round(format.getSampleRate()), samples);
    }
  }

  private static List<Segment> segments(Path file) throws IOException {
    String name = String.valueOf(file.getFileName());
    Path labels = file.resolveSibling(name.substring(0, name.length() - 4) + ".scv");
    if (!Files.exists(labels)) {
      return List.of();
    }
    String[] fields = Files.readString(labels, StandardCharsets.UTF_8).strip().split(",", -1);
    List<Segment> segments = new ArrayList<>();
    try {
      for (int i = 1; i + 2 < fields.length; i += 3) {
        segments.add(
            new Segment(
                Double.parseDouble(fields[i]),
                Double.parseDouble(fields[i + 1]),
                Integer.parseInt(fields[i + 2].strip()) != 0));
      }
    } catch (NumberFormatException e) {
      throw new TersorException(
          "TSR-0903", labels + " must hold a name, then start, end, 0 or 1 for each segment", e);
    }
    return segments;
  }
}
