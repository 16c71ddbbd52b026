package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * The CUDA driver library: the functions used, and the meaning of what they return. Every call is
 * checked; a failure is TSR-0612 with the function, what it was for, and the driver's name of the
 * error. A library that cannot be used is TSR-0611. Source: CUDA Driver API reference, version 13.
 */
// Calling native code is what this class is for.
@SuppressWarnings("restricted")
final class CudaDriver {
  /** A driver function; all return a CUresult. */
  enum Function {
    INIT("cuInit", "i"),
    DRIVER_VERSION("cuDriverGetVersion", "p"),
    DEVICE_COUNT("cuDeviceGetCount", "p"),
    DEVICE_GET("cuDeviceGet", "pi"),
    DEVICE_NAME("cuDeviceGetName", "pii"),
    DEVICE_ATTRIBUTE("cuDeviceGetAttribute", "pii"),
    CONTEXT_RETAIN("cuDevicePrimaryCtxRetain", "pi"),
    CONTEXT_RELEASE("cuDevicePrimaryCtxRelease_v2", "i"),
    CONTEXT_PUSH("cuCtxPushCurrent_v2", "p"),
    CONTEXT_POP("cuCtxPopCurrent_v2", "p"),
    MODULE_LOAD("cuModuleLoadDataEx", "ppipp"),
    MODULE_UNLOAD("cuModuleUnload", "p"),
    MODULE_FUNCTION("cuModuleGetFunction", "ppp"),
    MEMORY_ALLOCATE("cuMemAlloc_v2", "pl"),
    MEMORY_FREE("cuMemFree_v2", "l"),
    COPY_TO_DEVICE("cuMemcpyHtoDAsync_v2", "lplp"),
    COPY_TO_HOST("cuMemcpyDtoHAsync_v2", "pllp"),
    STREAM_CREATE("cuStreamCreate", "pi"),
    STREAM_DESTROY("cuStreamDestroy_v2", "p"),
    STREAM_SYNCHRONIZE("cuStreamSynchronize", "p"),
    LAUNCH("cuLaunchKernel", "piiiiiiippp"),
    ERROR_NAME("cuGetErrorName", "ip"),
    ERROR_TEXT("cuGetErrorString", "ip");

    private final String symbol;
    private final String kinds;

    /**
     * @param kinds of the arguments: p is a pointer or handle, l 64 bits, i 32 bits
     */
    Function(String symbol, String kinds) {
      this.symbol = symbol;
      this.kinds = kinds;
    }

    private FunctionDescriptor type() {
      return FunctionDescriptor.of(
          JAVA_INT,
          kinds
              .chars()
              .mapToObj(kind -> kind == 'p' ? ADDRESS : kind == 'l' ? JAVA_LONG : JAVA_INT)
              .toArray(MemoryLayout[]::new));
    }
  }

  private static final int OUT_OF_MEMORY = 2;

  private final String library;
  private final Map<Function, MethodHandle> handles = new EnumMap<>(Function.class);

  private CudaDriver(String library, SymbolLookup symbols) {
    this.library = library;
    for (Function function : Function.values()) {
      MemorySegment address =
          symbols
              .find(function.symbol)
              .orElseThrow(() ->
                  Faults.cudaMissing(
                      library + " has no function " + function.symbol + "; update the driver"));
      handles.put(
          function,
          Linker.nativeLinker()
              .downcallHandle(address, function.type())
              .asSpreader(Object[].class, function.kinds.length()));
    }
  }

  /**
   * Loads the library once for the life of the process, as the driver demands, and initialises it.
   *
   * @param library a file, or a name that the system's loader finds
   */
  static CudaDriver load(String library) {
    SymbolLookup symbols;
    try {
      symbols =
          library.contains("/")
              ? SymbolLookup.libraryLookup(Path.of(library), Arena.global())
              : SymbolLookup.libraryLookup(library, Arena.global());
    } catch (IllegalArgumentException e) {
      throw Faults.cudaMissing(
          "no CUDA driver: "
              + library
              + " cannot be loaded; install the NVIDIA driver, or use the backend cuda-emulated");
    }
    CudaDriver driver = new CudaDriver(library, symbols);
    int result = driver.invoke(Function.INIT, 0);
    if (result != 0) {
      throw Faults.cudaMissing(
          "the CUDA driver "
              + library
              + " does not start: "
              + driver.error(result)
              + "; check nvidia-smi, or use the backend cuda-emulated");
    }
    return driver;
  }

  String library() {
    return library;
  }

  private int invoke(Function function, Object... arguments) {
    MethodHandle handle = handles.get(function);
    if (handle == null) {
      throw new IllegalStateException(function.symbol);
    }
    try {
      return (int) handle.invoke(arguments);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Calls a function.
   *
   * @param purpose what it is for, for the message of a failure
   */
  void call(Function function, String purpose, Object... arguments) {
    int result = invoke(function, arguments);
    if (result != 0) {
      throw new CudaFault(
          result == OUT_OF_MEMORY,
          "the CUDA driver failed to "
              + purpose
              + ": "
              + function.symbol
              + " gives "
              + error(result)
              + "; "
              + remedy(result));
    }
  }

  /** Calls a function that cleans up: its failure leaves nothing to do. */
  void quietly(Function function, Object... arguments) {
    int _ = invoke(function, arguments);
  }

  /** Calls a function that writes an int to its first argument. */
  int readInt(Function function, String purpose, Object... more) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_INT);
      call(function, purpose, prepend(out, more));
      return out.get(JAVA_INT, 0);
    }
  }

  /** Calls a function that writes a pointer, handle or 64-bit number to its first argument. */
  long readLong(Function function, String purpose, Object... more) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_LONG);
      call(function, purpose, prepend(out, more));
      return out.get(JAVA_LONG, 0);
    }
  }

  private static Object[] prepend(Object first, Object[] more) {
    Object[] all = new Object[more.length + 1];
    all[0] = first;
    System.arraycopy(more, 0, all, 1, more.length);
    return all;
  }

  /** An error as {@code CUDA_ERROR_OUT_OF_MEMORY (2, out of memory)}. */
  private String error(int result) {
    List<String> texts =
        Arrays.asList(Function.ERROR_NAME, Function.ERROR_TEXT).stream()
            .map(function -> text(function, result))
            .toList();
    return texts.getFirst() + " (" + result + ", " + texts.getLast() + ")";
  }

  private String text(Function function, int result) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ADDRESS);
      int known = invoke(function, result, out);
      MemorySegment text = out.get(ADDRESS, 0);
      return known != 0 || text.address() == 0
          ? "an error that the driver does not name"
          : text.reinterpret(4096).getString(0);
    }
  }

  /** What to do, by the ranges of CUresult. */
  private static String remedy(int result) {
    return switch (result) {
      case OUT_OF_MEMORY ->
          "use smaller inputs, or end other programs that use the GPU (nvidia-smi lists them)";
      case 3, 4, 100, 101, 999 -> "check the GPU with nvidia-smi";
      case 200, 209, 218, 220, 221, 222, 223 ->
          "driver and nvcc do not fit each other: update the driver, or use an older nvcc";
      case 700, 702, 714, 715, 716, 717, 718, 719 ->
          "a kernel did what it must not, and the GPU cannot be used by this process any more;"
              + " this is a fault of the compiler, please report it with the model";
      default -> "check the GPU with nvidia-smi, or use the backend cuda-emulated";
    };
  }
}
