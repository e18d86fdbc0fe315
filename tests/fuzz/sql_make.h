/* Statements out of bytes, for sql_fuzz: each byte is a choice, so that what the fuzzer changes
 * stays a statement that the binder mostly takes, and binder, optimizer and operators are reached.
 *
 * It knows the columns of the fuzzer's tables t, u and e by letters:
 *   i int, n decimal, f double, s text, d date, w timestamp, z timestamptz, v interval, b boolean,
 *   l list of int, k list of text, g struct, m map. */
#ifndef WEIR_TESTS_FUZZ_SQL_MAKE_H
#define WEIR_TESTS_FUZZ_SQL_MAKE_H

#include <stddef.h>
#include <stdint.h>

/* Names that the maker may call with anything: functions, aggregates. Borrowed. */
struct sql_names {
    const char **names;
    size_t count;
};

/* A statement, ended by NUL, at most `most` bytes with it; cut off when it would be longer. */
void sql_make(const uint8_t *bytes, size_t size, const struct sql_names *names, char *ret_text,
              size_t most);

#endif
