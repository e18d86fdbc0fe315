/* Prints the rows of an Iceberg table, or of its metadata, as NDJSON, for foreign readers to be
 * compared with; counters on standard error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/file/local.h"
#include "engine/base/limits.h"
#include "formats/iceberg/resolve.h"
#include "formats/json/json.h"
#include "scheduler/query/iceberg_scan.h"

#define PREDICATES_MAX 8

struct print {
    struct weir_context context;
    struct weir_arena arena;
    struct weir_table_source source;
    const char *columns, *metadata_table;
    struct weir_predicate predicates[PREDICATES_MAX];
    size_t predicate_count;
    const char *where[PREDICATES_MAX][3];
    uint32_t batch_rows;
    int64_t limit;
    struct weir_scan *scan;
    struct weir_buffer *out; /* one a morsel */
    struct weir_type wanted;
};

static int fail(const struct weir_error *error)
{
    fprintf(stderr, "%s: %s%s%s\n", weir_status_name(error->status), error->text,
            *error->hint ? "; " : "", error->hint);
    return 1;
}

static weir_status choose_columns(struct print *print, struct weir_error *reterr)
{
    const struct weir_type *schema = print->source.operations->schema(print->source.self);
    print->wanted = *schema;
    if (!print->columns)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(&print->arena, schema->child_count + 1, sizeof(struct weir_field),
                             &print->wanted.children, reterr));
    print->wanted.child_count = 0;
    for (const char *at = print->columns; *at;) {
        size_t size = strcspn(at, ",");
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)size, at);
        const struct weir_field *field = weir_type_child(schema, at, size);
        const char *why = weir_iceberg_refused(&print->source, name);
        if (!field)
            return weir_fail(reterr, why ? WEIR_UNSUPPORTED : WEIR_NOT_FOUND, "column %s%s%s", name,
                             why ? " has type " : "", why ? why : "");
        print->wanted.children[print->wanted.child_count++] = *field;
        at += size + (at[size] == ',');
    }
    return WEIR_OK;
}

static weir_status make_predicates(struct print *print, struct weir_error *reterr)
{
    static const char *const names[] = {"=", "<", "<=", ">", ">=", "in", "null", "notnull"};
    for (size_t i = 0; i < print->predicate_count; i++) {
        struct weir_predicate *predicate = &print->predicates[i];
        const struct weir_field *field = NULL;
        for (uint32_t j = 0; j < print->wanted.child_count; j++)
            if (strcmp(print->wanted.children[j].name, print->where[i][0]) == 0) {
                field = &print->wanted.children[j];
                predicate->path[0] = j;
            }
        if (!field)
            return weir_fail(reterr, WEIR_USAGE, "no column %s", print->where[i][0]);
        predicate->path_size = 1;
        for (int j = 0; j < 8; j++)
            if (strcmp(names[j], print->where[i][1]) == 0)
                predicate->kind = (enum weir_predicate_kind)j;
        json_t *json = json_loads(print->where[i][2], JSON_DECODE_ANY, NULL);
        weir_status status = weir_value_from_json(&print->arena, &field->type, json,
                                                  &predicate->value, reterr);
        json_decref(json);
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

static weir_status print_morsel(void *argument, size_t index, struct weir_error *reterr)
{
    struct print *print = argument;
    const struct weir_table_source_operations *source = print->source.operations;
    struct weir_morsel *morsel = NULL;
    struct weir_arena arena;
    WEIR_TRY(source->morsel_open(print->scan, index, &morsel, reterr));
    weir_arena_init(&arena, &print->context.memory);
    weir_status status = WEIR_OK;
    bool end = morsel == NULL;
    while (status == WEIR_OK && !end) {
        struct weir_batch batch, flat;
        weir_arena_reset(&arena);
        status = source->morsel_next(morsel, &arena, &batch, &end, reterr);
        if (status == WEIR_OK && !end)
            status = weir_batch_gather(&arena, &batch, NULL, &flat, reterr);
        if (status == WEIR_OK && !end)
            status = weir_json_write_rows(&flat, &print->out[index], reterr);
    }
    source->morsel_close(morsel);
    weir_arena_done(&arena);
    return status;
}

static weir_status print_all(struct print *print, struct weir_error *reterr)
{
    const struct weir_table_source_operations *source = print->source.operations;
    WEIR_TRY(choose_columns(print, reterr));
    WEIR_TRY(make_predicates(print, reterr));
    struct weir_scan_request request = {.wanted = &print->wanted,
                                        .predicates = print->predicates,
                                        .predicate_count = print->predicate_count,
                                        .batch_rows = print->batch_rows,
                                        .limit = print->limit};
    WEIR_TRY(source->open(print->source.self, &print->context, &print->context.memory, &request,
                          &print->scan, reterr));
    size_t count = source->morsel_count(print->scan);
    weir_status status = weir_arena_zero(&print->arena, count, sizeof *print->out, &print->out,
                                         reterr);
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        weir_buffer_init(&print->out[i], &print->context.memory);
    if (status == WEIR_OK)
        status = weir_parallel(&print->context, count, print_morsel, print, reterr);
    for (size_t i = 0; print->out && i < count; i++) {
        if (status == WEIR_OK && print->out[i].size)
            fwrite(print->out[i].data, 1, print->out[i].size, stdout);
        weir_buffer_done(&print->out[i]);
    }
    const struct weir_scan_counters *counters = source->counters ? source->counters(print->scan)
                                                                 : NULL;
    bool exact;
    uint64_t rows = source->row_count(print->source.self, &exact);
    if (status == WEIR_OK && counters)
        fprintf(stderr, "files %llu skipped %llu groups %llu skipped %llu rows %llu %s\n",
                counters->files_read, counters->files_skipped, counters->row_groups_read,
                counters->row_groups_skipped, (unsigned long long)rows, exact ? "exact" : "guess");
    source->close(print->scan);
    return status;
}

static bool read_options(struct print *print, struct weir_iceberg_options *options, int count,
                         char **texts)
{
    for (int i = 2; i < count; i++) {
        const char *name = texts[i], *value = i + 1 < count ? texts[++i] : "";
        if (strcmp(name, "--snapshot") == 0) {
            options->has_snapshot_id = true;
            options->snapshot_id = atoll(value);
        } else if (strcmp(name, "--as-of") == 0) {
            options->has_as_of = true;
            options->as_of_ms = atoll(value);
        } else if (strcmp(name, "--ref") == 0) {
            options->ref = value;
        } else if (strcmp(name, "--columns") == 0) {
            print->columns = value;
        } else if (strcmp(name, "--metadata") == 0) {
            print->metadata_table = value;
        } else if (strcmp(name, "--threads") == 0) {
            print->context.thread_count = atoi(value);
        } else if (strcmp(name, "--batch") == 0) {
            print->batch_rows = (uint32_t)atoi(value);
        } else if (strcmp(name, "--limit") == 0) {
            print->limit = atoll(value);
        } else if (strcmp(name, "--where") == 0 && i + 2 < count &&
                   print->predicate_count < PREDICATES_MAX) {
            for (int j = 0; j < 3; j++)
                print->where[print->predicate_count][j] = texts[i + j];
            print->predicate_count++;
            i += 2;
        } else {
            return false;
        }
    }
    return count > 1;
}

int main(int argc, char **argv)
{
    static struct print print = {.batch_rows = WEIR_BATCH_ROWS, .limit = -1};
    struct weir_iceberg_options options = {0};
    struct weir_error error;
    weir_context_init(&print.context);
    print.context.thread_count = 1;
    if (!read_options(&print, &options, argc, argv)) {
        fprintf(stderr,
                "usage: %s METADATA.json [--snapshot ID | --ref NAME | --as-of MS] "
                "[--columns A,B] [--metadata TABLE] [--threads N] [--batch N] [--limit N] "
                "[--where COLUMN OPERATOR JSON]...\n",
                argv[0]);
        return 2;
    }
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", argv[1]);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    options.metadata_location = argv[1];
    weir_arena_init(&print.arena, &print.context.memory);
    weir_status status = weir_store_local_new(&print.context, slash ? folder : ".", &options.store,
                                              &error);
    if (status != WEIR_OK)
        return fail(&error);
    status = print.metadata_table
                 ? weir_iceberg_metadata_source(&print.context, &print.context.memory, &options,
                                                print.metadata_table, &print.source, &error)
                 : weir_iceberg_source_open(&print.context, &print.context.memory, &options,
                                            &print.source, &error);
    if (status == WEIR_OK) {
        status = print_all(&print, &error);
        print.source.operations->free(print.source.self);
    }
    options.store.operations->free(options.store.self);
    weir_arena_done(&print.arena);
    weir_context_done(&print.context);
    return status == WEIR_OK ? 0 : fail(&error);
}
