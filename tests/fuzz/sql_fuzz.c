/* libFuzzer: statements. They must be planned or refused, and when they are planned they must run
 * to an end or an error, within the rows, the memory and the time they are given; whatever happens,
 * the account is as it was.
 *
 * An input is a text; or, when its first byte is 1 or 2, three bytes that say how to run it - with
 * how little memory, spilling or not, with which kind of vectors - and a text (1) or the choices
 * that sql_make.c makes a statement of (2). Tables: t, u, e (empty) in memory, the same as files.
 * SQL_FUZZ_PRINT=1 prints each statement. Seeds: tests/sql. */
#include "formats/json/json.h"
#include "formats/parquet/parquet.h"
#include "scheduler/query/query.h"
#include "scheduler/query/rows_source.h"
#include "tests/fuzz/sql_make.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ROWS_MAX  20000 /* a short text may stand for many rows: generate_series, joins */
#define RUN_MS    400
#define TEXT_MOST 8192 /* bytes of a made statement */

struct fuzz {
    struct weir_context context;
    struct weir_arena arena;
    struct weir_table_source sources[3];
    struct weir_query_name names[3];
    struct sql_names functions;
    char folder[64];
    uint64_t rows;
    struct weir_buffer *file; /* what a statement gives goes there, or NULL */
    bool print;
};

struct way {
    uint64_t memory;
    uint32_t batch_rows;
    enum weir_vector_kind force;
    bool unoptimized, spill;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

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
    if (fuzz->file)
        return weir_json_write_rows(rows, fuzz->file, reterr);
    return fuzz->rows > ROWS_MAX ? weir_fail(reterr, WEIR_USAGE, "too many rows") : WEIR_OK;
}

/* What runs tells where its columns come from: from tables that there are. */
static void trace(struct fuzz *fuzz, struct weir_query_session *session, const char *text)
{
    struct weir_error error = {0};
    struct weir_lineage lineage;
    struct weir_arena arena;
    weir_arena_init(&arena, &fuzz->context.memory);
    weir_status status = weir_query_lineage(session, &arena, text, &lineage, &error);
    bool explains = strncasecmp(text + strspn(text, " \n\t"), "explain", 7) == 0;
    check(status != WEIR_INTERNAL, error.text);
    check(status == WEIR_OK || status == WEIR_NO_MEMORY || explains, "it ran, and has no lineage");
    for (uint32_t i = 0; status == WEIR_OK && i < lineage.column_count; i++)
        for (uint32_t u = 0; u < lineage.columns[i].use_count; u++)
            check(lineage.columns[i].uses[u].column != NULL, "a column without a name");
    weir_arena_done(&arena);
}

static weir_status run(struct fuzz *fuzz, const char *text, const struct way *way,
                       struct weir_error *error)
{
    struct weir_query_result result = {begin, batch, fuzz};
    struct weir_query_statistics statistics;
    struct weir_query_session *session;
    struct weir_buffer excerpt = {.account = &fuzz->context.memory};
    struct weir_query_options options = {.context = &fuzz->context,
                                         .memory_limit = way->memory,
                                         .spill_folder = way->spill ? fuzz->folder : NULL,
                                         .spill_limit = (uint64_t)16 << 20,
                                         .batch_rows = way->batch_rows,
                                         .force = way->force,
                                         .unoptimized = way->unoptimized,
                                         .now_micros = 1700000000000000};
    size_t before = fuzz->context.memory.used;
    if (fuzz->print)
        fprintf(stderr, "%s\n", text);
    fuzz->context.deadline_steady_ms = weir_steady_ms(&fuzz->context) + RUN_MS;
    weir_status status = weir_query_session_new(&options, &session, error);
    if (status == WEIR_OK) {
        weir_query_names_set(session, fuzz->names, 3);
        status = weir_query_run(session, text, &result, &statistics, &excerpt, error);
        if (status == WEIR_OK)
            trace(fuzz, session, text);
        weir_query_session_free(session); /* it keeps the names that were asked for */
    }
    check(status != WEIR_INTERNAL, error->text);
    if (fuzz->print)
        fprintf(stderr, "-> %d %s\n", status, status == WEIR_OK ? "" : error->text);
    weir_buffer_done(&excerpt);
    check(fuzz->file || fuzz->context.memory.used == before, "memory was kept");
    return status;
}

/* ---- tables ---- */

static const char columns[] =
    "struct<i:int,n:decimal(9,2),f:double,s:string,d:date,w:timestamp,z:timestamptz,b:boolean,"
    "l:list<int>,k:list<string>,g:struct<a:int,c:string>,m:map<string,int>,j:int,r:long,x:float,"
    "q:string,u:uuid,y:binary,h:time>";

/* Row number `row`: values that come again, nulls, and the ends of the types. */
static void put_row(struct weir_buffer *lines, unsigned row, bool edges)
{
    static const char *const doubles[] = {"0.0", "-0.0", "1.5", "1e300", "-2.25"};
    struct weir_error error;
    char number[16], text[40];
    snprintf(number, sizeof number, "%u", row % 7 * 100 + row % 3);
    snprintf(text, sizeof text, row % 4 ? "\"v%u\"" : "\"a longer text %u \\u00e4\"", row % 11);
    const char *word = edges && row % 5 == 4 ? "null" : text;
    check(weir_buffer_print(
              lines, &error,
              "{\"i\":%s,\"n\":%u.%02u,\"f\":%s,\"s\":%s,\"d\":\"20%02u-0%u-1%u\","
              "\"w\":\"20%02u-0%u-11T0%u:10:11.5\",\"z\":\"2026-0%u-28T01:59:59Z\",\"b\":%s,"
              "\"l\":%s,\"k\":%s,\"g\":%s,\"m\":{\"a\":%u,\"v%u\":null},\"j\":%u,\"r\":%s,"
              "\"x\":%u.5,\"q\":\"%u\",\"u\":\"00000000-0000-4000-8000-00000000000%u\","
              "\"y\":\"qqqq\",\"h\":\"0%u:01:02\"}\n",
              edges && row % 6 == 5 ? "null" : number, row % 9, row % 100, doubles[row % 5], word,
              row % 90, row % 9 + 1, row % 10, row % 40, row % 9 + 1, row % 10, row % 9 + 1,
              row % 3   ? "true"
              : row % 2 ? "false"
                        : "null",
              row % 4   ? "[1,null,3]"
              : row % 2 ? "[]"
                        : "null",
              row % 2 ? "[\"v1\",\"b\"]" : "[null]", row % 5 ? "{\"a\":1,\"c\":\"v2\"}" : "null",
              row, row % 3, row, row == 3 ? "9223372036854775807" : number, row % 8, row, row % 10,
              row % 10) == WEIR_OK,
          "a row");
}

static void make_table(struct fuzz *fuzz, size_t which, const char *name, unsigned count)
{
    struct weir_error error;
    struct weir_type type;
    struct weir_buffer lines = {.account = &fuzz->context.memory};
    check(weir_type_parse(&fuzz->arena, columns, &type, &error) == WEIR_OK, "the table's columns");
    for (unsigned i = 0; i < count; i++)
        put_row(&lines, i, which == 0);
    if (query_rows_source(&fuzz->context.memory, &type, &lines, &fuzz->sources[which], &error))
        check(false, error.text);
    fuzz->names[which] = (struct weir_query_name){.name = name, .source = &fuzz->sources[which]};
    weir_buffer_done(&lines);
}

/* Files of the tables' rows; Parquet with groups of 16 rows, so that some may be skipped. */
static weir_status write_parquet(void *self, const void *data, size_t size,
                                 struct weir_error *reterr)
{
    if (fwrite(data, 1, size, self) != size)
        return weir_fail(reterr, WEIR_IO, "cannot write");
    return WEIR_OK;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    check(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, path);
}

static void make_parquet(struct fuzz *fuzz)
{
    const struct weir_table_source *source = &fuzz->sources[0];
    const struct weir_type *type = source->operations->schema(source->self);
    struct weir_scan_request request = {.wanted = type, .batch_rows = 16, .limit = -1};
    struct weir_parquet_options options = {.row_group_size = 4096, .page_size = 300};
    struct weir_parquet_result result;
    struct weir_parquet_writer *writer;
    struct weir_scan *scan;
    struct weir_morsel *morsel = NULL;
    struct weir_batch rows;
    struct weir_error error = {0};
    FILE *file = fopen("t.parquet", "w");
    bool end = false;
    weir_status status = weir_parquet_writer_new(
        &fuzz->context, &fuzz->context.memory, type, &options,
        (struct weir_parquet_sink){write_parquet, file}, &writer, &error);
    check(file && status == WEIR_OK, error.text);
    check(source->operations->open(source->self, &fuzz->context, &fuzz->context.memory, &request,
                                   &scan, &error) == WEIR_OK &&
              source->operations->morsel_open(scan, 0, &morsel, &error) == WEIR_OK,
          error.text);
    for (;;) {
        status = source->operations->morsel_next(morsel, &fuzz->arena, &rows, &end, &error);
        if (status != WEIR_OK || end)
            break;
        status = weir_parquet_writer_add(writer, &rows, NULL, &error);
        check(status == WEIR_OK, error.text);
    }
    check(status == WEIR_OK && weir_parquet_writer_finish(writer, &result, &error) == WEIR_OK,
          error.text);
    weir_parquet_writer_free(writer);
    source->operations->morsel_close(morsel);
    source->operations->close(scan);
    fclose(file);
}

static void make_files(struct fuzz *fuzz)
{
    static const char csv[] = "i,s,f,d\n1,a,0.5,2026-01-01\n2,\"b,\"\"c\",,2026-02-03\n,,1e5,\n";
    struct weir_buffer lines = {.account = &fuzz->context.memory};
    struct weir_error error;
    struct way way = {0};
    write_file("u.csv", csv, sizeof csv - 1);
    make_parquet(fuzz);
    fuzz->file = &lines;
    if (run(fuzz, "SELECT * FROM t", &way, &error) != WEIR_OK)
        check(false, error.text);
    fuzz->file = NULL;
    write_file("t.ndjson", lines.data, lines.size);
    weir_buffer_done(&lines);
}

static struct fuzz *fuzz_open(void)
{
    static struct fuzz fuzz;
    struct weir_error error;
    struct weir_query_session *session;
    if (fuzz.folder[0])
        return &fuzz;
    weir_context_init(&fuzz.context);
    fuzz.context.thread_count = 1;
    weir_arena_init(&fuzz.arena, &fuzz.context.memory);
    snprintf(fuzz.folder, sizeof fuzz.folder, "/tmp/weir-sql-fuzz-XXXXXX");
    check(mkdtemp(fuzz.folder) && chdir(fuzz.folder) == 0, "a folder");
    make_table(&fuzz, 0, "t", 60);
    make_table(&fuzz, 1, "u", 7);
    make_table(&fuzz, 2, "e", 0);
    make_files(&fuzz);
    struct weir_query_options options = {.context = &fuzz.context};
    check(weir_query_session_new(&options, &session, &error) == WEIR_OK &&
              weir_query_names(session, &fuzz.arena, &fuzz.functions.names, &fuzz.functions.count,
                               &error) == WEIR_OK,
          "names");
    weir_query_session_free(session);
    fuzz.print = getenv("SQL_FUZZ_PRINT") != NULL;
    return &fuzz;
}

/* Memory: mostly plenty, else from a few hundred bytes on. */
static struct way way_of(const uint8_t *bytes)
{
    static const uint32_t batches[] = {0, 1, 7, 64};
    return (struct way){.memory = bytes[0] < 128 ? (uint64_t)64 << 20
                                                 : (uint64_t)(256 + bytes[1]) << bytes[0] % 16,
                        .batch_rows = batches[bytes[1] % 4],
                        .force = (enum weir_vector_kind)(bytes[1] / 4 % 3),
                        .unoptimized = bytes[1] & 16,
                        .spill = bytes[1] & 32};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char made[TEXT_MOST];
    struct fuzz *fuzz = fuzz_open();
    struct way way = {.memory = (uint64_t)64 << 20};
    struct weir_error error;
    size_t skip = size >= 4 && (data[0] == 1 || data[0] == 2) ? 4 : 0;
    if (skip)
        way = way_of(data + 1);
    if (skip && data[0] == 2) {
        sql_make(data + skip, size - skip, &fuzz->functions, made, sizeof made);
        (void)!run(fuzz, made, &way, &error);
        return 0;
    }
    char *text = malloc(size - skip + 1); /* of its own size: reads past it are seen */
    check(text != NULL, "out of memory");
    memcpy(text, data + skip, size - skip);
    text[size - skip] = 0;
    (void)!run(fuzz, text, &way, &error);
    free(text);
    return 0;
}

/* ---- mutations ---- */

static size_t word_end(const uint8_t *data, size_t size, size_t at)
{
    size_t end = at;
    if (end < size && (isalnum(data[end]) || data[end] == '_'))
        while (end < size && (isalnum(data[end]) || data[end] == '_'))
            end++;
    else if (end < size)
        end++;
    return end;
}

static size_t word_begin(const uint8_t *data, size_t at)
{
    while (at > 0 && (isalnum(data[at - 1]) || data[at - 1] == '_') && isalnum(data[at]))
        at--;
    return at;
}

static size_t put_word(uint8_t *data, size_t size, size_t most, size_t from, size_t to,
                       const void *word, size_t length)
{
    if (size - (to - from) + length > most)
        return size;
    memmove(data + from + length, data + to, size - to);
    memcpy(data + from, word, length);
    return size - (to - from) + length;
}

/* A word is left out, or becomes another of the text, a function's name or a word of SQL. */
static size_t change_words(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static const char *const words[] = {"SELECT ",
                                        " FROM t ",
                                        " WHERE ",
                                        " GROUP BY ",
                                        " ORDER BY 1 ",
                                        " LIMIT 3 ",
                                        " UNION ALL ",
                                        " JOIN u ON ",
                                        " NULL ",
                                        " OVER (ORDER BY i) ",
                                        " AND ",
                                        "::int",
                                        "::text",
                                        "(SELECT i FROM u)",
                                        " DISTINCT ",
                                        " LATERAL ",
                                        " IN ",
                                        " EXISTS ",
                                        "ARRAY[i]",
                                        " interval '1 month'",
                                        " FILTER (WHERE b)",
                                        "-9223372036854775808",
                                        "0.5",
                                        "'x'",
                                        " IS NULL ",
                                        "t.*",
                                        "CASE WHEN b THEN i END",
                                        "decimal(38,10)"};
    struct fuzz *fuzz = fuzz_open();
    uint8_t copy[64];
    size_t from = word_begin(data, seed % size), to = word_end(data, size, from);
    unsigned rest = seed / 4096;
    switch (seed % 5) {
    case 0: return put_word(data, size, most, from, to, "", 0);
    case 1: {
        const char *name = fuzz->functions.names[rest % fuzz->functions.count];
        return put_word(data, size, most, from, to, name, strlen(name));
    }
    case 2: {
        const char *word = words[rest % (sizeof words / sizeof *words)];
        return put_word(data, size, most, from, rest % 3 ? to : from, word, strlen(word));
    }
    default: {
        size_t other = word_begin(data, rest % size), end = word_end(data, size, other);
        for (unsigned i = 0; i < rest / 64 % 8; i++)
            end = word_end(data, size, end);
        size_t length = end - other < sizeof copy ? end - other : sizeof copy;
        memcpy(copy, data + other, length);
        return put_word(data, size, most, from, to, copy, length);
    }
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static const uint8_t headers[][4] = {{1, 0, 0, 0}, {2, 0, 0, 0}};
    if (size == 0 && most >= 64) { /* the first of all */
        memcpy(data, headers[1], 4);
        for (size_t i = 4; i < 64; i++)
            data[i] = (uint8_t)(seed >> i % 24);
        return 64;
    }
    bool header = size >= 4 && (data[0] == 1 || data[0] == 2);
    if (size == 0 || seed % 8 == 0 || most < 16)
        return LLVMFuzzerMutate(data, size, most);
    if (!header && seed % 8 == 1 && size + 4 <= most)
        return put_word(data, size, most, 0, 0, headers[seed / 8 % 2], 4);
    if (header && seed % 8 < 3) {
        data[1 + seed / 8 % 3] = (uint8_t)(seed / 32);
        return size;
    }
    size_t skip = header ? 4 : 0;
    if (size > skip && (!header || data[0] == 1))
        return skip + change_words(data + skip, size - skip, most - skip, seed / 8);
    return skip + LLVMFuzzerMutate(data + skip, size - skip, most - skip);
}
