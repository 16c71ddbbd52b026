package org.tersor.cli.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.tersor.conformance.RandomInputs;
import org.tersor.passes.quant.SampleSet;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Npy;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/** Calls of a model from data on disk, for calibration and evaluation. */
public final class Samples {
  private Samples() {}

  /**
   * Numbered samples; each is read when it is asked for.
   *
   * @param labels class of each sample; empty if the data has none
   */
  public record Data(int count, List<Integer> labels, Reader reader) {
    /** The inputs of one call for samples {@code from} to {@code from + batch}. */
    public Map<String, Tensor> read(int from, int batch) {
      try {
        return reader.read(from, batch);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** The same data; samples that are read are noted. */
    public Data noting(SampleSet noted) {
      return new Data(
          count,
          labels,
          (from, batch) -> {
            Map<String, Tensor> call = reader.read(from, batch);
            noted.add(call, batch);
            return call;
          });
    }

    /** Calls with one sample each. */
    public Iterable<Map<String, Tensor>> calls(int from, int to) {
      return () -> java.util.stream.IntStream.range(from, to).mapToObj(i -> read(i, 1)).iterator();
    }
  }

  /** Reads inputs of a call. */
  public interface Reader {
    Map<String, Tensor> read(int from, int batch) throws IOException;
  }

  /** Names of tasks that {@link #task} knows. */
  public static List<String> tasks() {
    return List.of("mnist", "images");
  }

  /** The data of a task: labelled images. */
  public static Data task(
      String task, Path folder, List<Port> inputs, Map<String, Long> dims, Optional<Preprocess> how)
      throws IOException {
    return switch (task.toLowerCase(Locale.ROOT)) {
      case "mnist" -> mnist(folder, inputs, how.orElse(Preprocess.MNIST));
      case "images" -> images(folder, inputs, dims, how.orElse(Preprocess.UNIT), true);
      default ->
          throw new TersorException(
              "TSR-0906", "there is no task '" + task + "'; there are " + tasks());
    };
  }

  /**
   * Calibration data: a .npz with arrays [n, ...] by input name, a folder of .npz or .npy files
   * (one call each), of texts with {@link Characters their numbers}, of recordings that are cut
   * into {@link Windows}, of pictures, or of IDX files.
   */
  public static Data calibration(
      Path path,
      Optional<String> task,
      List<Port> inputs,
      Map<String, Long> dims,
      Optional<Preprocess> how)
      throws IOException {
    if (task.isPresent()) {
      return task(task.get(), path, inputs, dims, how);
    }
    if (!Files.isDirectory(path)) {
      return archive(path, inputs);
    }
    List<Path> files = list(path);
    if (files.stream().anyMatch(f -> name(f).contains("images-idx3"))) {
      return mnist(path, inputs, how.orElse(Preprocess.MNIST));
    }
    List<Path> arrays =
        files.stream().filter(f -> name(f).endsWith(".npz") || name(f).endsWith(".npy")).toList();
    if (!arrays.isEmpty()) {
      return new Data(arrays.size(), List.of(), (from, batch) -> arrays(arrays.get(from), inputs));
    }
    List<Path> recordings = files.stream().filter(f -> name(f).endsWith(".wav")).toList();
    // Beside recordings and pictures a .txt without its numbers tells of them.
    boolean others = !recordings.isEmpty() || files.stream().anyMatch(Samples::isPicture);
    String text = others ? Characters.NUMBERS : ".txt";
    if (files.stream().anyMatch(f -> name(f).endsWith(text))) {
      return Characters.of(files, inputs);
    }
    if (!recordings.isEmpty()) {
      return Windows.of(recordings, only(inputs), dims);
    }
    return images(path, inputs, dims, how.orElse(Preprocess.UNIT), false);
  }

  private static Map<String, Tensor> arrays(Path file, List<Port> inputs) throws IOException {
    return name(file).endsWith(".npz")
        ? Npy.readAll(file)
        : Map.of(only(inputs).name(), Npy.read(file));
  }

  private static Data archive(Path file, List<Port> inputs) throws IOException {
    Map<String, Tensor> arrays = arrays(file, inputs);
    long count = Long.MAX_VALUE;
    Map<String, Tensor> samples = new LinkedHashMap<>();
    for (Port port : inputs) {
      Tensor array = arrays.get(port.name());
      if (array == null || array.rank() == 0 || array.rank() < port.shape().size()) {
        throw new TersorException(
            "TSR-0903",
            file
                + " must hold an array [samples, ...] named '"
                + port.name()
                + "'; it holds "
                + arrays);
      }
      samples.put(port.name(), array);
      count = Math.min(count, array.shape()[0]);
    }
    return new Data(
        (int) count,
        List.of(),
        (from, batch) -> {
          Map<String, Tensor> call = new LinkedHashMap<>();
          for (Port port : inputs) {
            call.put(
                port.name(),
                slice(
                    samples.getOrDefault(port.name(), Tensor.zeros(port.dtype(), 0)),
                    from,
                    batch,
                    port.shape().size()));
          }
          return call;
        });
  }

  /**
   * Rows of the outermost dimension; that dimension goes away if the model has one dimension less.
   */
  private static Tensor slice(Tensor array, int from, int batch, int rank) {
    long[] shape = array.shape().clone();
    shape[0] = batch;
    int row = (int) (array.size() / Math.max(1, array.shape()[0])) * array.dtype().slots();
    Tensor part = Tensor.zeros(array.dtype(), shape);
    System.arraycopy(array.array(), from * row, part.array(), 0, batch * row);
    return rank < array.rank() && batch == 1
        ? part.reshaped(Arrays.copyOfRange(shape, 1, shape.length))
        : part;
  }

  private static Data mnist(Path folder, List<Port> inputs, Preprocess how) throws IOException {
    Idx.Labelled data = Idx.readFolder(folder);
    Port port = only(inputs);
    int size = data.height() * data.width();
    return new Data(
        data.count(),
        Arrays.stream(data.labels()).boxed().toList(),
        (from, batch) -> {
          byte[] pixels = Arrays.copyOfRange(data.pixels(), from * size, (from + batch) * size);
          Tensor images = how.apply(pixels, batch, data.height(), data.width(), 1, port.dtype());
          return Map.of(port.name(), fit(images, port, batch));
        });
  }

  /** Models differ in whether an image has a channel dimension, or is flat. */
  private static Tensor fit(Tensor images, Port port, int batch) {
    int rank = port.shape().size();
    long perImage = images.size() / batch;
    return switch (rank) {
      case 2 -> images.reshaped(batch, perImage);
      case 3 -> images.reshaped(batch, 28, perImage / 28);
      default -> images;
    };
  }

  private static Data images(
      Path folder, List<Port> inputs, Map<String, Long> dims, Preprocess how, boolean labelled)
      throws IOException {
    List<Canvas> canvases = inputs.stream().map(port -> Canvas.of(port, dims, how)).toList();
    Map<String, Integer> classes = labelled ? labels(folder) : Map.of();
    List<Path> files =
        list(folder).stream()
            .filter(f ->
                isPicture(f)
                    && (classes.isEmpty() || classes.containsKey(f.getFileName().toString())))
            .toList();
    if (files.isEmpty()) {
      throw new TersorException(
          "TSR-0902",
          folder
              + " holds no pictures (.png, .jpg, .gif, .bmp)"
              + (classes.isEmpty() ? "" : " that labels.csv names"));
    }
    List<Integer> labels = new ArrayList<>();
    for (int i = 0; i < files.size() && labelled; i++) {
      labels.add(classes.getOrDefault(files.get(i).getFileName().toString(), i));
    }
    return new Data(
        files.size(),
        labels,
        (from, batch) -> {
          Map<String, Tensor> call = new LinkedHashMap<>();
          for (Canvas canvas : canvases) {
            call.put(canvas.port.name(), canvas.paint(files.subList(from, from + batch), how));
          }
          return call;
        });
  }

  /** An input that takes pictures; a model with several gets each picture in the size of each. */
  private record Canvas(Port port, int height, int width, int channels) {
    static Canvas of(Port port, Map<String, Long> dims, Preprocess how) {
      long[] shape = RandomInputs.shape(port, dims);
      if (shape.length != 4) {
        throw new TersorException(
            "TSR-0903",
            "input '"
                + port.name()
                + "' takes no pictures: it has "
                + shape.length
                + " dimensions; give a .npz with an array for each input");
      }
      boolean first = how.channelsFirst();
      return new Canvas(
          port, (int) shape[first ? 2 : 1], (int) shape[first ? 3 : 2], (int) shape[first ? 1 : 3]);
    }

    Tensor paint(List<Path> files, Preprocess how) throws IOException {
      byte[] pixels = new byte[files.size() * height * width * channels];
      for (int i = 0; i < files.size(); i++) {
        byte[] image = Images.read(files.get(i), height, width, channels);
        System.arraycopy(image, 0, pixels, i * image.length, image.length);
      }
      return how.apply(pixels, files.size(), height, width, channels, port.dtype());
    }
  }

  /** DIR/labels.csv: file,label per line, with or without a heading; empty if there is none. */
  private static Map<String, Integer> labels(Path folder) throws IOException {
    Path file = folder.resolve("labels.csv");
    Map<String, Integer> labels = new TreeMap<>();
    if (Files.exists(file)) {
      for (String line : Files.readAllLines(file)) {
        int comma = line.lastIndexOf(',');
        String number = line.substring(comma + 1).strip();
        if (comma > 0 && number.matches("\\d{1,9}")) {
          labels.put(line.substring(0, comma).strip(), Integer.parseInt(number));
        }
      }
    }
    return labels;
  }

  private static Port only(List<Port> inputs) {
    if (inputs.size() != 1) {
      throw new TersorException(
          "TSR-0903",
          "the model has "
              + inputs.size()
              + " inputs; give calibration data as a .npz with an array for each");
    }
    return inputs.getFirst();
  }

  /** The pictures of a folder, by name. */
  public static List<Path> pictures(Path folder) throws IOException {
    List<Path> files = list(folder).stream().filter(Samples::isPicture).toList();
    if (files.isEmpty()) {
      throw new TersorException("TSR-0902", folder + " holds no pictures (.png, .jpg, .gif, .bmp)");
    }
    return files;
  }

  private static boolean isPicture(Path file) {
    return Stream.of(".png", ".jpg", ".jpeg", ".gif", ".bmp").anyMatch(name(file)::endsWith);
  }

  private static String name(Path file) {
    return file.getFileName().toString().toLowerCase(Locale.ROOT);
  }

  private static List<Path> list(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      throw new TersorException("TSR-0902", folder + " is no folder");
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }
}
