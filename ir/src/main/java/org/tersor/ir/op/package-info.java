/**
 * The operator SPI: schema, type inference, reference evaluation and lowering of one operator in
 * one place.
 */
package org.tersor.ir.op;
