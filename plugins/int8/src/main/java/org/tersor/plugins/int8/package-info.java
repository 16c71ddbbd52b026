/** 8-bit integer formats. */
package org.tersor.plugins.int8;
