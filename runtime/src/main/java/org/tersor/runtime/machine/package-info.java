/** Machine code of a model, called through java.lang.foreign. */
package org.tersor.runtime.machine;
