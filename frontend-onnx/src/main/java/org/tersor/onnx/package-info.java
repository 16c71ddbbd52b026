/** ONNX import and export. */
package org.tersor.onnx;
