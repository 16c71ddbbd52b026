package org.tersor.passes.quant;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.tersor.runtime.Tensor;

/** Checksums of tensors that do not depend on how they are stored. */
public final class Checksums {
  private Checksums() {}

  /** SHA-256 of the elements of tensors: floats as float32 bits, integers as int32. */
  public static String of(Tensor... tensors) {
    MessageDigest digest = sha256();
    for (Tensor tensor : tensors) {
      ByteBuffer buffer =
          ByteBuffer.allocate(Math.multiplyExact(4, tensor.size())).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < tensor.size(); i++) {
        if (tensor.dtype().isFloat()) {
          buffer.putFloat((float) tensor.getDouble(i));
        } else {
          buffer.putInt((int) tensor.getLong(i));
        }
      }
      digest.update(buffer.flip());
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
