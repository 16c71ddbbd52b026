/**
 * What a compiled model needs to run: tensors, the execution plan, the thread pool. Depends on
 * java.base alone.
 */
package org.tersor.runtime;
