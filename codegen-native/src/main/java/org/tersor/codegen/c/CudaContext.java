package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.util.function.Supplier;
import org.tersor.codegen.c.CudaDriver.Function;

/**
 * A device's primary context, shared with all CUDA code of the process. What it allocates is freed
 * when the Java object is no longer reachable; a {@link Handle} keeps its context. A driver call is
 * made inside {@link #in}, in any thread, and leaves the thread's own context as it was.
 */
final class CudaContext {
  private static final Cleaner CLEANER = Cleaner.create();

  private final CudaDriver driver;
  private final CudaDevice device;
  private final MemorySegment context;

  private CudaContext(CudaDriver driver, CudaDevice device, MemorySegment context) {
    this.driver = driver;
    this.device = device;
    this.context = context;
  }

  static CudaContext of(CudaDriver driver, CudaDevice device) {
    long context =
        driver.readLong(
            Function.CONTEXT_RETAIN, "get the context of " + device.name(), device.handle());
    CudaContext made = new CudaContext(driver, device, MemorySegment.ofAddress(context));
    int handle = device.handle();
    CLEANER.register(made, () -> driver.quietly(Function.CONTEXT_RELEASE, handle));
    return made;
  }

  CudaDriver driver() {
    return driver;
  }

  CudaDevice device() {
    return device;
  }

  /** Runs {@code body} with the context current in this thread. */
  <T> T in(Supplier<T> body) {
    driver.call(Function.CONTEXT_PUSH, "use the context of " + device.name(), context);
    try {
      return body.get();
    } finally {
      try (Arena arena = Arena.ofConfined()) {
        driver.quietly(Function.CONTEXT_POP, arena.allocate(ADDRESS));
      }
    }
  }

  /** Something of the driver; freed when this is unreachable, or earlier by {@link #free}. */
  static final class Handle {
    private final long value;
    private final Cleaner.Cleanable cleanable;

    private Handle(CudaContext context, long value, Function release, Object argument) {
      this.value = value;
      // Must not refer to this handle.
      this.cleanable =
          CLEANER.register(
              this,
              () -> {
                try {
                  context.in(() -> {
                    context.driver.quietly(release, argument);
                    return true;
                  });
                } catch (CudaFault _) {
                  // The context is lost, and with it what it held.
                }
              });
    }

    /** The address of device memory. */
    long address() {
      return value;
    }

    /** A handle as an argument of the driver. */
    MemorySegment pointer() {
      return MemorySegment.ofAddress(value);
    }

    void free() {
      cleanable.clean();
    }
  }

  /** Device memory; at least one byte. Inside {@link #in}. */
  Handle allocate(long bytes, String what) {
    long size = Math.max(256, bytes);
    long address =
        driver.readLong(Function.MEMORY_ALLOCATE, "allocate " + size + " bytes for " + what, size);
    return new Handle(this, address, Function.MEMORY_FREE, address);
  }

  /** A stream of its own order. Inside {@link #in}. */
  Handle stream() {
    int nonBlocking = 1;
    return handle(
        driver.readLong(Function.STREAM_CREATE, "create a stream", nonBlocking),
        Function.STREAM_DESTROY);
  }

  /** A compiled module. Inside {@link #in}. */
  Handle module(byte[] image) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(image.length + 1L, 64);
      MemorySegment.copy(image, 0, copy, java.lang.foreign.ValueLayout.JAVA_BYTE, 0, image.length);
      return handle(
          driver.readLong(
              Function.MODULE_LOAD,
              "load kernels",
              copy,
              0,
              MemorySegment.NULL,
              MemorySegment.NULL),
          Function.MODULE_UNLOAD);
    }
  }

  /** A kernel of a module, valid as long as that. Inside {@link #in}. */
  MemorySegment function(Handle module, String name) {
    try (Arena arena = Arena.ofConfined()) {
      return MemorySegment.ofAddress(
          driver.readLong(
              Function.MODULE_FUNCTION,
              "find kernel " + name,
              module.pointer(),
              arena.allocateFrom(name)));
    }
  }

  private Handle handle(long value, Function release) {
    return new Handle(this, value, release, MemorySegment.ofAddress(value));
  }
}
