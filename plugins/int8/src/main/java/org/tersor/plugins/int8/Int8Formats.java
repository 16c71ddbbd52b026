package org.tersor.plugins.int8;

import java.util.List;

/** The formats that this plugin provides; a provider needs a class and a constructor of its own. */
public final class Int8Formats {
  private Int8Formats() {}

  /** Signed, symmetric, one scale per tensor. */
  public static final class S8SymmetricTensor extends Int8Format {
    public S8SymmetricTensor() {
      super(true, true, false, Sharing.TENSOR);
    }
  }

  /** Signed, symmetric, one scale per tensor, codes -127..127. */
  public static final class S8SymmetricTensorRestricted extends Int8Format {
    public S8SymmetricTensorRestricted() {
      super(true, true, true, Sharing.TENSOR);
    }
  }

  /** Signed, symmetric, one scale per channel. */
  public static final class S8SymmetricChannel extends Int8Format {
    public S8SymmetricChannel() {
      super(true, true, false, Sharing.CHANNEL);
    }
  }

  /** Signed, symmetric, one scale per channel, codes -127..127. */
  public static final class S8SymmetricChannelRestricted extends Int8Format {
    public S8SymmetricChannelRestricted() {
      super(true, true, true, Sharing.CHANNEL);
    }

    /** What static int8 quantization means: these weights, and activations that go with them. */
    @Override
    public List<String> aliases() {
      return List.of("int8");
    }
  }

  /** Signed, affine, one scale per tensor. */
  public static final class S8AffineTensor extends Int8Format {
    public S8AffineTensor() {
      super(true, false, false, Sharing.TENSOR);
    }
  }

  /** Signed, affine, one scale per channel. */
  public static final class S8AffineChannel extends Int8Format {
    public S8AffineChannel() {
      super(true, false, false, Sharing.CHANNEL);
    }
  }

  /** Unsigned, symmetric, one scale per tensor. */
  public static final class U8SymmetricTensor extends Int8Format {
    public U8SymmetricTensor() {
      super(false, true, false, Sharing.TENSOR);
    }
  }

  /** Unsigned, symmetric, one scale per channel. */
  public static final class U8SymmetricChannel extends Int8Format {
    public U8SymmetricChannel() {
      super(false, true, false, Sharing.CHANNEL);
    }
  }

  /** Unsigned, affine, one scale per tensor. */
  public static final class U8AffineTensor extends Int8Format {
    public U8AffineTensor() {
      super(false, false, false, Sharing.TENSOR);
    }
  }

  /** Unsigned, affine, one scale per channel. */
  public static final class U8AffineChannel extends Int8Format {
    public U8AffineChannel() {
      super(false, false, false, Sharing.CHANNEL);
    }
  }
}
