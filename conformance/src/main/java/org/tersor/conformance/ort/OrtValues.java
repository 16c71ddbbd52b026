package org.tersor.conformance.ort;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.TensorInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.util.List;

/**
 * Maps and sequences for ONNX Runtime: its C API makes them from tensors, its Java API cannot. What
 * the C API makes is given to the Java API as if it were a tensor, which passes it on unread.
 * Functions of the C API are found by their places in OrtApi, which its first version has fixed.
 */
// Calling native code is what this class is for.
@SuppressWarnings("restricted")
final class OrtValues {
  private static final int FIRST_VERSION = 1;
  private static final int GET_ERROR_MESSAGE = 2;
  private static final int CREATE_VALUE = 82;
  private static final int RELEASE_STATUS = 93;

  /** Of ONNXType. */
  private static final int SEQUENCE = 2;

  private static final int MAP = 3;

  private static final int LONGEST_MESSAGE = 1 << 12;

  private OrtValues() {}

  /** A map with copies of the keys and values, to be closed by the caller. */
  static OnnxTensor map(OnnxTensor keys, OnnxTensor values) {
    return of(MAP, List.of(keys, values));
  }

  /**
   * A sequence that shares the elements, to be closed by the caller. ONNX Runtime makes none
   * without elements, whose type it would not know.
   */
  static OnnxTensor sequence(List<OnnxTensor> elements) {
    return of(SEQUENCE, elements);
  }

  private static OnnxTensor of(int kind, List<OnnxTensor> parts) {
    if (parts.isEmpty()) {
      throw new IllegalArgumentException("ONNX Runtime makes no sequence of nothing");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handles = arena.allocate(ADDRESS, parts.size());
      for (int i = 0; i < parts.size(); i++) {
        handles.setAtIndex(JAVA_LONG, i, handle(parts.get(i)));
      }
      MemorySegment made = arena.allocate(ADDRESS);
      MemorySegment status =
          (MemorySegment)
              function(
                      CREATE_VALUE,
                      FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, ADDRESS))
                  .invokeExact(handles, (long) parts.size(), kind, made);
      if (status.address() != 0) {
        throw new IllegalArgumentException(message(status));
      }
      return wrap(made.get(JAVA_LONG, 0), parts.getFirst());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("ONNX Runtime has another C or Java API than expected", e);
    }
  }

  private static MethodHandle function(int place, FunctionDescriptor type) throws Throwable {
    Linker linker = Linker.nativeLinker();
    MemorySegment base =
        (MemorySegment)
            linker
                .downcallHandle(
                    SymbolLookup.loaderLookup().findOrThrow("OrtGetApiBase"),
                    FunctionDescriptor.of(ADDRESS))
                .invokeExact();
    // GetApi is the first function of OrtApiBase.
    MemorySegment api =
        (MemorySegment)
            linker
                .downcallHandle(
                    base.reinterpret(ADDRESS.byteSize()).get(ADDRESS, 0),
                    FunctionDescriptor.of(ADDRESS, JAVA_INT))
                .invokeExact(FIRST_VERSION);
    return linker.downcallHandle(
        api.reinterpret((place + 1) * ADDRESS.byteSize()).getAtIndex(ADDRESS, place), type);
  }

  private static String message(MemorySegment status) throws Throwable {
    MemorySegment text =
        (MemorySegment)
            function(GET_ERROR_MESSAGE, FunctionDescriptor.of(ADDRESS, ADDRESS))
                .invokeExact(status);
    String message = text.reinterpret(LONGEST_MESSAGE).getString(0);
    function(RELEASE_STATUS, FunctionDescriptor.ofVoid(ADDRESS)).invokeExact(status);
    return message;
  }

  private static long handle(OnnxTensor tensor) throws ReflectiveOperationException {
    Field handle = OnnxTensorLike.class.getDeclaredField("nativeHandle");
    handle.setAccessible(true);
    return handle.getLong(tensor);
  }

  private static OnnxTensor wrap(long value, OnnxTensor like) throws ReflectiveOperationException {
    Field allocator = OnnxTensorLike.class.getDeclaredField("allocatorHandle");
    allocator.setAccessible(true);
    Constructor<OnnxTensor> constructor =
        OnnxTensor.class.getDeclaredConstructor(long.class, long.class, TensorInfo.class);
    constructor.setAccessible(true);
    return constructor.newInstance(value, allocator.getLong(like), like.getInfo());
  }
}
