package org.tersor.conformance.ort;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.tersor.conformance.Reference;
import org.tersor.runtime.Datum;
import org.tersor.runtime.TersorException;

/**
 * ONNX Runtime in a worker process, started at the first call and kept warm for the next models. If
 * it crashes or overruns its time, the call fails with TSR-0802 or TSR-0803, and the next one gets
 * a new worker (sessions of the old one are gone).
 */
public final class OrtWorker implements Reference {
  private final Duration limit;
  private Optional<Running> running = Optional.empty();

  /**
   * @param limit longest time of one call
   */
  public OrtWorker(Duration limit) {
    this.limit = limit;
  }

  /** With a limit of ten minutes a call. */
  public OrtWorker() {
    this(Duration.ofMinutes(10));
  }

  @Override
  public String name() {
    return "ONNX Runtime " + call("start", Path.of(""), running -> running.version);
  }

  @Override
  public Session open(Path model, Options options) {
    return call(
        "load",
        model,
        r -> {
          r.out.writeByte(Wire.OPEN);
          Wire.writeText(r.out, model.toAbsolutePath().toString());
          Wire.writeText(r.out, options.optimization().name());
          r.out.writeInt(options.threads());
          r.expectOk();
          return new WorkerSession(
              r, model, r.in.readInt(), Wire.readPorts(r.in), Wire.readPorts(r.in));
        });
  }

  /** Ends the process; a later call starts another. */
  @Override
  public void close() {
    running.ifPresent(Running::stop);
    running = Optional.empty();
  }

  /** One exchange of messages. */
  private interface Exchange<T> {
    T with(Running running) throws IOException;
  }

  private <T> T call(String what, Path model, Exchange<T> exchange) {
    Running r = running.filter(x -> x.process.isAlive()).orElseGet(Running::start);
    running = Optional.of(r);
    return r.within(limit, what, model, exchange);
  }

  private final class WorkerSession implements Session {
    private final Running home;
    private final Path model;
    private final int id;
    private final List<Port> inputs;
    private final List<Port> outputs;

    WorkerSession(Running home, Path model, int id, List<Port> inputs, List<Port> outputs) {
      this.home = home;
      this.model = model;
      this.id = id;
      this.inputs = inputs;
      this.outputs = outputs;
    }

    @Override
    public List<Port> inputs() {
      return inputs;
    }

    @Override
    public List<Port> outputs() {
      return outputs;
    }

    @Override
    public Map<String, Datum> run(Map<String, ? extends Datum> data) {
      return home.within(
          limit,
          "run",
          model,
          r -> {
            r.out.writeByte(Wire.RUN);
            r.out.writeInt(id);
            Wire.writeData(r.out, data);
            r.expectOk();
            return Wire.readData(r.in);
          });
    }

    @Override
    public void prepare(Map<String, ? extends Datum> data) {
      home.within(
          limit,
          "take inputs of",
          model,
          r -> {
            r.out.writeByte(Wire.PREPARE);
            r.out.writeInt(id);
            Wire.writeData(r.out, data);
            r.expectOk();
            return true;
          });
    }

    @Override
    public long[] time(int runs) {
      return home.within(
          limit,
          "run",
          model,
          r -> {
            r.out.writeByte(Wire.TIME);
            r.out.writeInt(id);
            r.out.writeInt(runs);
            r.expectOk();
            return Wire.readTimes(r.in);
          });
    }

    @Override
    public void close() {
      if (home.process.isAlive()) {
        home.within(
            limit,
            "unload",
            model,
            r -> {
              r.out.writeByte(Wire.CLOSE);
              r.out.writeInt(id);
              r.expectOk();
              return true;
            });
      }
    }
  }

  /** A message of ONNX Runtime itself. */
  private static final class Refused extends IOException {
    private static final long serialVersionUID = 1L;

    Refused(String message) {
      super(message);
    }
  }

  /** A started process. */
  private static final class Running {
    private final Process process;
    private final DataOutputStream out;
    private final DataInputStream in;
    private final String version;
    private final Deque<String> errors = new ArrayDeque<>();
    private final ScheduledExecutorService clock =
        Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("onnxruntime-time-limit").factory());

    private Running(Process process) {
      this.process = process;
      out = new DataOutputStream(new BufferedOutputStream(process.getOutputStream(), 1 << 16));
      in = new DataInputStream(new BufferedInputStream(process.getInputStream(), 1 << 16));
      Thread.ofPlatform().daemon().name("onnxruntime-errors").start(this::drain);
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      try {
        version = Wire.readText(in);
      } catch (IOException e) {
        throw gone("start", Path.of(""));
      }
    }

    static Running start() {
      List<String> command =
          new ArrayList<>(
              List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
      command.addAll(
          List.of(
              "-XX:+UseSerialGC",
              "-XX:TieredStopAtLevel=1",
              "-Xshare:auto",
              "--enable-native-access=ALL-UNNAMED"));
      OrtLibrary.nativeFolder()
          .ifPresent(folder -> command.add("-Donnxruntime.native.path=" + folder));
      command.addAll(List.of("-cp", OrtLibrary.classPath(), OrtWorkerMain.class.getName()));
      ProcessBuilder builder = new ProcessBuilder(command);
      // lets ONNX Runtime take opset versions that were not released when it was
      builder.environment().put("ALLOW_RELEASED_ONNX_OPSET_ONLY", "0");
      builder.environment().remove("JDK_JAVA_OPTIONS");
      try {
        return new Running(builder.start());
      } catch (IOException e) {
        throw new TersorException(
            "TSR-0801",
            "the worker process of ONNX Runtime cannot be started: " + e.getMessage(),
            e);
      }
    }

    private void drain() {
      try (BufferedReader reader =
          new BufferedReader(new InputStreamReader(process.getErrorStream(), UTF_8))) {
        for (String line = reader.readLine(); line != null; line = reader.readLine()) {
          synchronized (errors) {
            errors.add(line);
            if (errors.size() > 5) {
              errors.remove();
            }
          }
        }
      } catch (IOException e) {
        // the process is gone; whoever waits for its answer says so
      }
    }

    <T> T within(Duration limit, String what, Path model, Exchange<T> exchange) {
      AtomicBoolean late = new AtomicBoolean();
      ScheduledFuture<?> alarm =
          clock.schedule(
              () -> {
                late.set(true);
                process.destroyForcibly();
              },
              limit.toMillis(),
              TimeUnit.MILLISECONDS);
      try {
        return exchange.with(this);
      } catch (Refused e) {
        throw new TersorException(
            "TSR-0804",
            "ONNX Runtime cannot " + what + " " + model.getFileName() + ": " + e.getMessage());
      } catch (IOException e) {
        if (late.get()) {
          throw new TersorException(
              "TSR-0803",
              "ONNX Runtime needed more than "
                  + limit.toSeconds()
                  + " s to "
                  + what
                  + " "
                  + model.getFileName());
        }
        throw gone(what, model);
      } finally {
        alarm.cancel(false);
      }
    }

    void expectOk() throws IOException {
      out.flush();
      int answer = in.readByte();
      if (answer == Wire.REFUSED) {
        throw new Refused(Wire.readText(in));
      }
      if (answer != Wire.OK) {
        // Its native code printed something: nothing that follows can be trusted.
        throw new IOException("unexpected answer " + answer);
      }
    }

    private TersorException gone(String what, Path model) {
      process.destroyForcibly();
      String status;
      try {
        status = "exit status " + process.waitFor();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        status = "interrupted";
      }
      String last;
      synchronized (errors) {
        last = String.join("; ", errors);
      }
      return new TersorException(
          "TSR-0802",
          "ONNX Runtime crashed ("
              + status
              + ") when told to "
              + what
              + " "
              + model.getFileName()
              + (last.isEmpty() ? "" : ": " + last));
    }

    void stop() {
      clock.shutdownNow();
      try {
        process.getOutputStream().close();
        if (!process.waitFor(2, TimeUnit.SECONDS)) {
          process.destroyForcibly();
        }
      } catch (IOException e) {
        process.destroyForcibly();
      } catch (InterruptedException e) {
        process.destroyForcibly();
        Thread.currentThread().interrupt();
      }
    }
  }
}
