package org.tersor.codegen.c;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.tersor.codegen.c.CudaDriver.Function;

/**
 * A GPU.
 *
 * @param handle the driver's CUdevice
 * @param major major number of the compute capability
 * @param minor minor number of the compute capability
 * @param driverVersion CUDA version of the driver, 1000 * major + 10 * minor
 */
record CudaDevice(int handle, String name, int major, int minor, int driverVersion) {
  /** Oldest capability with dp4a, as 10 * major + minor. */
  private static final int OLDEST = 61;

  private static final int CAPABILITY_MAJOR = 75;
  private static final int CAPABILITY_MINOR = 76;

  /** The device of that number; TSR-0611 if there is none that can be used. */
  static CudaDevice of(CudaDriver driver, int number) {
    int count = driver.readInt(Function.DEVICE_COUNT, "count devices");
    if (number < 0 || number >= count) {
      throw Faults.cudaMissing(
          (count == 0
                  ? "the CUDA driver finds no GPU"
                  : "there is no GPU " + number + ", only " + count + " numbered from 0")
              + "; see nvidia-smi, or use the backend cuda-emulated");
    }
    int handle = driver.readInt(Function.DEVICE_GET, "open device " + number, number);
    int major = attribute(driver, handle, CAPABILITY_MAJOR);
    int minor = attribute(driver, handle, CAPABILITY_MINOR);
    CudaDevice device =
        new CudaDevice(
            handle,
            name(driver, handle),
            major,
            minor,
            driver.readInt(Function.DRIVER_VERSION, "ask for the driver's version"));
    if (10 * major + minor < OLDEST) {
      throw Faults.cudaMissing(
          device + " is too old: kernels need compute capability 6.1; use another backend");
    }
    return device;
  }

  private static int attribute(CudaDriver driver, int handle, int attribute) {
    return driver.readInt(
        Function.DEVICE_ATTRIBUTE, "ask for the compute capability", attribute, handle);
  }

  private static String name(CudaDriver driver, int handle) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment text = arena.allocate(JAVA_BYTE, 256);
      driver.call(Function.DEVICE_NAME, "ask for the device's name", text, 255, handle);
      return text.getString(0);
    }
  }

  /** As nvcc names it. */
  String architecture() {
    return "sm_" + major + minor;
  }

  @Override
  public String toString() {
    return name
        + ", compute capability "
        + major
        + "."
        + minor
        + ", driver for CUDA "
        + driverVersion / 1000
        + "."
        + driverVersion % 1000 / 10;
  }
}
