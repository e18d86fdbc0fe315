/* libFuzzer: any bytes as a statement. It must be planned or refused, and when it is planned it
 * must run to an end or an error, within the rows, the memory and the time it is given; whatever
 * happens, the account is as it was. There are no tables but VALUES and what functions make.
 * Seeds: tests/sql/tpch. */
#include "scheduler/query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_MAX 20000 /* a short text may stand for many rows: generate_series, joins */
#define RUN_MS   1000

struct fuzz {
    struct weir_context context;
    struct weir_query_session *session;
    uint64_t rows;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "sql_fuzz: %s\n", what);
        abort();
    }
}

static weir_status begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    (void)reterr;
    ((struct fuzz *)self)->rows = 0;
    check(type->id == WEIR_STRUCT, "the result is no struct");
    return WEIR_OK;
}

/* Looks at every byte that a batch says it has: the sanitizer tells what is not there. */
static uint64_t look(const struct weir_vector *vector)
{
    uint64_t sum = 0;
    if (vector->kind == WEIR_DICTIONARY) {
        for (uint32_t i = 0; i < vector->count; i++)
            if (weir_vector_valid(vector, i))
                sum += vector->indices[i];
        return sum;
    }
    uint32_t count = vector->kind == WEIR_CONSTANT ? (vector->count ? 1 : 0) : vector->count;
    const uint8_t *values = vector->values;
    for (uint32_t i = 0; vector->validity && i < count; i++)
        sum += weir_bit_get(vector->validity, i);
    if (vector->offsets && count > 0) {
        for (uint32_t i = 0; i < count; i++)
            check(vector->offsets[i + 1] >= vector->offsets[i], "offsets fall");
        for (int32_t i = 0; values && vector->type->child_count == 0 && i < vector->offsets[count];
             i++)
            sum += values[i];
    } else if (values) {
        for (size_t i = 0; i < (size_t)count * weir_type_width(vector->type); i++)
            sum += values[i];
    }
    for (uint32_t i = 0; i < vector->type->child_count; i++)
        sum += look(&vector->children[i]);
    return sum;
}

static weir_status batch(void *self, const struct weir_batch *rows, struct weir_error *reterr)
{
    struct fuzz *fuzz = self;
    static volatile uint64_t seen;
    for (uint32_t i = 0; i < rows->type->child_count; i++)
        seen += look(&rows->columns[i]);
    fuzz->rows += rows->count;
    return fuzz->rows > ROWS_MAX ? weir_fail(reterr, WEIR_USAGE, "too many rows") : WEIR_OK;
}

static struct fuzz *fuzz_open(void)
{
    static struct fuzz fuzz;
    struct weir_error error;
    if (fuzz.context.thread_count == 0)
        weir_context_init(&fuzz.context);
    fuzz.context.thread_count = 1;
    struct weir_query_options options = {.context = &fuzz.context,
                                         .memory_limit = (uint64_t)64 << 20,
                                         .now_micros = 1700000000000000};
    check(weir_query_session_new(&options, &fuzz.session, &error) == WEIR_OK, "session");
    return &fuzz;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *fuzz = fuzz_open();
    struct weir_query_result result = {begin, batch, fuzz};
    struct weir_query_statistics statistics;
    struct weir_error error;
    char *text = malloc(size + 1);
    check(text != NULL, "out of memory");
    memcpy(text, data, size);
    text[size] = 0;
    fuzz->context.deadline_steady_ms = weir_steady_ms(&fuzz->context) + RUN_MS;
    struct weir_buffer excerpt = {.account = &fuzz->context.memory};
    weir_status status = weir_query_run(fuzz->session, text, &result, &statistics, &excerpt,
                                        &error);
    check(status != WEIR_INTERNAL, error.text);
    weir_buffer_done(&excerpt);
    free(text);
    weir_query_session_free(fuzz->session); /* it keeps the names that were asked for */
    fuzz->session = NULL;
    check(fuzz->context.memory.used == 0, "memory was kept");
    return 0;
}
