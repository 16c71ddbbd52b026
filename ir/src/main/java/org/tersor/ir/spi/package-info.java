/** Service provider interfaces of frontends, backends and passes. */
package org.tersor.ir.spi;
