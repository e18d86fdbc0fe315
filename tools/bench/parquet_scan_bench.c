/* Reads columns of a Parquet file through the table source, one thread, and prints rows and CPU
 * seconds: parquet_scan_bench FILE [COLUMN,COLUMN...|all] [ROUNDS]. Fixed-width columns are touched
 * (summed), as any query would. */
#include "formats/parquet/scan.h"

#include "engine/base/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static weir_status read_at(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                           struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(out, size, reterr));
    while (size) {
        ssize_t got = pread(*(int *)self, out->data + out->size, size, (off_t)offset);
        if (got <= 0)
            return weir_fail(reterr, WEIR_IO, "pread failed");
        out->size += (size_t)got;
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return WEIR_OK;
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t touch(const struct weir_vector *vector)
{
    uint64_t sum = 0;
    if (vector->kind == WEIR_DICTIONARY) {
        for (uint32_t i = 0; i < vector->count; i++)
            sum += vector->indices[i];
    } else if (vector->kind == WEIR_FLAT && weir_type_width(vector->type) == 8) {
        for (uint32_t i = 0; i < vector->count; i++)
            sum += ((const uint64_t *)vector->values)[i];
    } else if (vector->kind == WEIR_FLAT && weir_type_width(vector->type) == 16) {
        for (uint32_t i = 0; i < vector->count; i++)
            sum += (uint64_t)((const unsigned __int128 *)vector->values)[i];
    } else if (vector->kind == WEIR_FLAT && vector->offsets) {
        sum += (uint64_t)vector->offsets[vector->count];
    }
    return sum;
}

/* The columns named, or all. */
static struct weir_type choose(const struct weir_type *schema, char *names,
                               struct weir_field *fields)
{
    struct weir_type type = {.id = WEIR_STRUCT, .children = fields};
    if (!names || strcmp(names, "all") == 0)
        return *schema;
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        const struct weir_field *field = weir_type_child(schema, name, strlen(name));
        if (field)
            fields[type.child_count++] = *field;
    }
    return type;
}

static weir_status scan_all(struct weir_context *context, const struct weir_table_source *source,
                            const struct weir_type *wanted, uint64_t *rows, uint64_t *sum,
                            struct weir_error *reterr)
{
    const struct weir_table_source_operations *operations = source->operations;
    struct weir_scan_request request = {
        .wanted = wanted, .batch_rows = WEIR_BATCH_ROWS, .limit = -1};
    struct weir_arena arena;
    struct weir_scan *scan;
    WEIR_TRY(operations->open(source->self, context, &context->memory, &request, &scan, reterr));
    weir_arena_init(&arena, &context->memory);
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < operations->morsel_count(scan) && status == WEIR_OK; i++) {
        struct weir_morsel *morsel = NULL;
        struct weir_batch batch;
        bool end = false;
        status = operations->morsel_open(scan, i, &morsel, reterr);
        while (status == WEIR_OK && morsel && !end) {
            weir_arena_reset(&arena);
            status = operations->morsel_next(morsel, &arena, &batch, &end, reterr);
            if (status != WEIR_OK || end)
                break;
            *rows += batch.count;
            for (uint32_t c = 0; c < wanted->child_count; c++)
                *sum += touch(&batch.columns[c]);
        }
        operations->morsel_close(morsel);
    }
    weir_arena_done(&arena);
    operations->close(scan);
    return status;
}

int main(int argc, char **argv)
{
    struct weir_context context;
    struct weir_error error = {0};
    struct stat stat;
    struct weir_parquet_file *file;
    struct weir_table_source source;
    static struct weir_field fields[1000];
    int handle = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    if (handle < 0 || fstat(handle, &stat) != 0) {
        fprintf(stderr, "usage: parquet_scan_bench FILE [COLUMN,...|all] [ROUNDS]\n");
        return 2;
    }
    weir_context_init(&context);
    weir_status status = weir_parquet_file_open(
        &context.memory, (struct weir_parquet_source){read_at, &handle, (uint64_t)stat.st_size},
        &file, &error);
    if (status == WEIR_OK)
        status = weir_parquet_table_source(&context, &context.memory, &file, 1, &source, &error);
    if (status == WEIR_OK) {
        struct weir_type wanted = choose(source.operations->schema(source.self),
                                         argc > 2 ? argv[2] : NULL, fields);
        for (int round = 0; round < (argc > 3 ? atoi(argv[3]) : 3) && status == WEIR_OK; round++) {
            uint64_t rows = 0, sum = 0;
            double start = cpu_seconds();
            status = scan_all(&context, &source, &wanted, &rows, &sum, &error);
            printf("%llu rows, %.3f s cpu, sum %llu, peak %zu\n", (unsigned long long)rows,
                   cpu_seconds() - start, (unsigned long long)sum, (size_t)context.memory.peak);
        }
        source.operations->free(source.self);
    }
    if (status != WEIR_OK)
        fprintf(stderr, "%s\n", error.text);
    weir_context_done(&context);
    close(handle);
    return status != WEIR_OK;
}
