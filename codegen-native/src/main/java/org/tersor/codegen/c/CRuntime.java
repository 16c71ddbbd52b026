package org.tersor.codegen.c;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Fixed C text that every unit has. */
final class CRuntime {
  private CRuntime() {}

  /** The text of a file beside this class. */
  static String resource(String name) {
    try (InputStream in = CRuntime.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("resource " + name + " is missing");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The functions that a compiler may call without being asked to; hidden, so that they are nobody
   * else's.
   */
  static final String MEMORY_FUNCTIONS =
      """
      #if defined(__x86_64__)
      void *memcpy(void *restrict d, const void *restrict s, size_t n) {
        void *r = d;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
        return r;
      }
      void *memset(void *d, int c, size_t n) {
        void *r = d;
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
        return r;
      }
      #else
      typedef uint64_t tsr_words __attribute__((aligned(1), may_alias));
      void *memcpy(void *restrict d, const void *restrict s, size_t n) {
        size_t i = 0;
        for (; i + 8 <= n; i += 8) *(tsr_words *)((char *)d + i) = *(const tsr_words *)((const char *)s + i);
        for (; i < n; i++) ((char *)d)[i] = ((const char *)s)[i];
        return d;
      }
      void *memset(void *d, int c, size_t n) {
        size_t i = 0;
        for (; i + 8 <= n; i += 8) *(tsr_words *)((char *)d + i) = 0x0101010101010101ull * (unsigned char)c;
        for (; i < n; i++) ((char *)d)[i] = (char)c;
        return d;
      }
      #endif
      void *memmove(void *d, const void *s, size_t n) {
        if ((uintptr_t)d - (uintptr_t)s >= n) return memcpy(d, s, n);
        for (unsigned char *p = (unsigned char *)d; n-- > 0;) p[n] = ((const unsigned char *)s)[n];
        return d;
      }

      """;
}
