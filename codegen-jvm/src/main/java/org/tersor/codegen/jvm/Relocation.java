package org.tersor.codegen.jvm;

import java.util.Set;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.commons.ClassRemapper;
import org.objectweb.asm.commons.Remapper;
import org.tersor.runtime.Tensor;

/**
 * Where classes go that a jar carries. The runtime and whole packages move below the package of the
 * model; everything else keeps its name.
 *
 * @param model path of the model's package, with a slash at its end
 * @param packages paths of packages that move, without one
 */
record Relocation(String model, Set<String> packages) {
  /** Path of the runtime's package as it is compiled. */
  static final String RUNTIME = Tensor.class.getPackageName().replace('.', '/') + "/";

  /** The new path of a class or file. */
  String path(String path) {
    if (path.startsWith(RUNTIME)) {
      return model + "runtime/" + path.substring(RUNTIME.length());
    }
    return packages.contains(folder(path)) ? model + "host/" + path : path;
  }

  /** A class with the new names of all that it refers to. */
  byte[] moved(byte[] bytes) {
    return mapped(
        bytes,
        new Remapper(Opcodes.ASM9) {
          @Override
          public String map(String name) {
            return path(name);
          }
        });
  }

  static byte[] mapped(byte[] bytes, Remapper names) {
    ClassWriter writer = new ClassWriter(0);
    new ClassReader(bytes).accept(new ClassRemapper(writer, names), 0);
    return writer.toByteArray();
  }

  /** Path of what a class or file lies in. */
  static String folder(String path) {
    return path.substring(0, Math.max(0, path.lastIndexOf('/')));
  }
}
