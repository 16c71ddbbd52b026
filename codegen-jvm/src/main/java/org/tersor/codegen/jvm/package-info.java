/** Kernel IR to bytecode over jdk.incubator.vector. */
package org.tersor.codegen.jvm;
