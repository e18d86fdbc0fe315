/* Criterion's newer way to say a comparison, as far as Weir's tests use it: see ../criterion.h. */
#ifndef WEIR_TESTS_HARNESS_PLAIN_CRITERION_NEW_ASSERT_H
#define WEIR_TESTS_HARNESS_PLAIN_CRITERION_NEW_ASSERT_H

#include "../criterion.h"

#define plain_same_int(a, b)  ((a) == (b))
#define plain_same_sz(a, b)   ((a) == (b))
#define plain_same_long(a, b) ((a) == (b))
#define plain_same_str(a, b)  (strcmp((a), (b)) == 0)
#define eq(tag, a, b)         plain_same_##tag(a, b)
#define ne(tag, a, b)         (!plain_same_##tag(a, b))
#define lt(tag, a, b)         ((a) < (b))
#define gt(tag, a, b)         ((a) > (b))
#define le(tag, a, b)         ((a) <= (b))
#define ge(tag, a, b)         ((a) >= (b))
#define not(a) (!(a))

#endif
