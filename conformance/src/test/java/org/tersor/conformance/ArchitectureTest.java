package org.tersor.conformance;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The arrows between the modules: runtime, below it ir, below that everything else side by side,
 * and conformance seeing them all.
 */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("org.tersor");

  @Test
  void theClassesAreThere() {
    assertTrue(CLASSES.stream().anyMatch(c -> c.getPackageName().startsWith("org.tersor.ir")));
    assertTrue(CLASSES.stream().anyMatch(c -> c.getPackageName().equals("org.tersor.runtime")));
  }

  @Test
  void modulesDependDownwardsOnly() {
    layeredArchitecture()
        .consideringOnlyDependenciesInAnyPackage("org.tersor..")
        .withOptionalLayers(true)
        .layer("runtime")
        .definedBy("org.tersor.runtime..")
        .layer("ir")
        .definedBy("org.tersor.ir..")
        .layer("onnx")
        .definedBy("org.tersor.onnx..")
        .layer("passes")
        .definedBy("org.tersor.passes..")
        .layer("codegen-jvm")
        .definedBy("org.tersor.codegen.jvm..")
        .layer("codegen-native")
        .definedBy("org.tersor.codegen.c..")
        .layer("plugins")
        .definedBy("org.tersor.plugins..")
        .layer("conformance")
        .definedBy("org.tersor.conformance..")
        .whereLayer("runtime")
        .mayNotAccessAnyLayer()
        .whereLayer("ir")
        .mayOnlyAccessLayers("runtime")
        .whereLayer("onnx")
        .mayOnlyAccessLayers("ir", "runtime")
        .whereLayer("passes")
        .mayOnlyAccessLayers("ir", "runtime")
        .whereLayer("codegen-jvm")
        .mayOnlyAccessLayers("ir", "runtime")
        .whereLayer("codegen-native")
        .mayOnlyAccessLayers("ir", "runtime")
        .whereLayer("plugins")
        .mayOnlyAccessLayers("ir", "runtime")
        .whereLayer("conformance")
        .mayNotBeAccessedByAnyLayer()
        .ensureAllClassesAreContainedInArchitecture()
        .check(CLASSES);
  }

  @Test
  void runtimeNeedsJavaBaseAlone() {
    classes()
        .that()
        .resideInAPackage("org.tersor.runtime..")
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage("org.tersor.runtime..", "java..", "org.jspecify.annotations")
        .check(CLASSES);
  }

  @ParameterizedTest
  @CsvSource({
    "org.antlr..,               org.tersor.ir.dsl..",
    "com.google.protobuf..,     org.tersor.onnx..",
    "org.objectweb.asm..,       org.tersor.codegen.jvm..",
    "jdk.incubator.vector..,    org.tersor.codegen.jvm..|org.tersor.conformance..",
    "org.ojalgo..,              org.tersor.passes..",
    "ai.onnxruntime..,          org.tersor.conformance.ort..",
    "com.google.re2j..,         org.tersor.plugins.regex..",
    "com.twelvemonkeys..,       org.tersor.plugins.image..",
    "org.openjdk.jmh..,         org.tersor.conformance..",
  })
  void aLibraryStaysAtHome(String library, String homes) {
    noClasses()
        .that()
        .resideOutsideOfPackages(homes.split("\\|"))
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(library)
        .check(CLASSES);
  }
}
