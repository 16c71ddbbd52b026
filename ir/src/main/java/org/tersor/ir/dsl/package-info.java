/** Part of the intermediate representation. */
package org.tersor.ir.dsl;
