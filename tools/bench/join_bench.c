/* Times one hash join inside the engine: 6 million probe rows, 1.5 million build rows, a long key
 * and two long payload columns, summed up. Beside it, in DuckDB:
 *   select sum(b.x), sum(b.y), sum(p.v) from p join b on p.k = b.k
 *
 *   join-bench [THREADS [MODE [MEMORY]]]
 * MODE: 0 every probe row has a partner, 1 one of eight has one. MEMORY: MiB, spilling beyond. */
#include "engine/base/limits.h"
#include "engine/exec/aggregate.h"
#include "engine/exec/spill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROBE = 6000000, BUILD = 1500000, MORSEL = 122880 };

struct table {
    struct weir_type type;
    struct weir_field fields[3];
    struct weir_vector columns[3];
    uint32_t count;
    struct weir_table_source source;
};
struct position {
    struct table *table;
    uint32_t at, end, batch_rows;
};

static void must(weir_status status, const struct weir_error *error)
{
    if (status != WEIR_OK) {
        fprintf(stderr, "%s: %s\n", weir_status_name(status), error->text);
        exit(1);
    }
}

static weir_status open_scan(void *self, struct weir_context *context, struct weir_account *account,
                             const struct weir_scan_request *request, struct weir_scan **ret_scan,
                             struct weir_error *reterr)
{
    *ret_scan = self;
    return WEIR_OK;
}

static size_t morsel_count(const struct weir_scan *scan)
{
    return (((const struct table *)scan)->count + MORSEL - 1) / MORSEL;
}

static weir_status morsel_open(struct weir_scan *scan, size_t index, struct weir_morsel **ret,
                               struct weir_error *reterr)
{
    struct table *table = (struct table *)scan;
    struct position *position = calloc(1, sizeof *position);
    uint32_t at = (uint32_t)index * MORSEL;
    *position = (struct position){.table = table, .at = at, .end = at + MORSEL};
    if (position->end > table->count)
        position->end = table->count;
    *ret = (struct weir_morsel *)position;
    return WEIR_OK;
}

static weir_status morsel_next(struct weir_morsel *morsel, struct weir_arena *arena,
                               struct weir_batch *ret_batch, bool *ret_end,
                               struct weir_error *reterr)
{
    struct position *position = (struct position *)morsel;
    struct table *table = position->table;
    uint32_t count = position->end - position->at;
    struct weir_vector *columns;
    if (count > WEIR_BATCH_ROWS)
        count = WEIR_BATCH_ROWS;
    *ret_end = count == 0;
    WEIR_TRY(weir_arena_zero(arena, 3, sizeof *columns, &columns, reterr));
    for (uint32_t c = 0; c < table->type.child_count; c++) {
        columns[c] = table->columns[c];
        columns[c].values = (int64_t *)columns[c].values + position->at;
        columns[c].count = count;
    }
    position->at += count;
    *ret_batch = (struct weir_batch){.type = &table->type, .count = count, .columns = columns};
    return WEIR_OK;
}

static void morsel_close(struct weir_morsel *morsel)
{
    free(morsel);
}

static void close_scan(struct weir_scan *scan) {}

static const struct weir_table_source_operations operations = {.kind = "values",
                                                               .open = open_scan,
                                                               .morsel_count = morsel_count,
                                                               .morsel_open = morsel_open,
                                                               .morsel_next = morsel_next,
                                                               .morsel_close = morsel_close,
                                                               .close = close_scan};

static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* Keys: of the build side 0 .. BUILD-1 in a mixed order, times 8. */
static void fill(struct table *table, uint32_t count, uint32_t width, bool probe, int mode)
{
    table->count = count;
    table->type = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = width, .children = table->fields};
    table->source = (struct weir_table_source){&operations, table};
    for (uint32_t c = 0; c < width; c++) {
        int64_t *values = malloc((size_t)count * 8 + 64);
        table->fields[c] = (struct weir_field){.name = "c", .type = {.id = WEIR_LONG}};
        for (uint32_t i = 0; i < count; i++) {
            uint64_t key = probe ? mixed(i) % BUILD : (uint64_t)i * 1000003 % BUILD;
            if (c == 0)
                values[i] = (int64_t)(key * 8 + (probe && mode ? mixed(i) >> 61 : 0));
            else
                values[i] = (int64_t)(i % 1000 * c);
        }
        table->columns[c] = (struct weir_vector){
            .type = &table->fields[c].type, .count = count, .values = values};
    }
}

static weir_status print_sums(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    for (uint32_t c = 0; c < batch->type->child_count; c++)
        printf("%lld ", (long long)*(const __int128 *)batch->columns[c].values);
    return WEIR_OK;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
    static struct table probe, build;
    struct weir_context context;
    struct weir_account account;
    struct weir_arena arena;
    struct weir_error error = {0};
    int mode = count > 2 ? atoi(arguments[2]) : 0;
    weir_context_init(&context);
    context.thread_count = count > 1 ? atoi(arguments[1]) : 1;
    size_t limit = count > 3 ? (size_t)atoi(arguments[3]) << 20 : 0;
    struct weir_spill *spill = NULL;
    weir_account_init(&account, NULL, "bench", limit);
    if (limit)
        must(weir_spill_new(&account, "/tmp/weir-join-bench", 0, &spill, &error), &error);
    weir_arena_init(&arena, &account);
    fill(&probe, PROBE, 2, true, mode);
    fill(&build, BUILD, 3, false, mode);
    struct weir_operator scans[2] = {
        {.kind = WEIR_OP_SCAN, .type = probe.type, .source = &probe.source},
        {.kind = WEIR_OP_SCAN, .type = build.type, .source = &build.source}};
    struct weir_operator *children[2] = {&scans[0], &scans[1]};
    struct weir_node *key, *columns[3];
    must(weir_node_column(&arena, 0, &probe.fields[0].type, -1, &key, &error), &error);
    struct weir_field fields[5] = {probe.fields[0], probe.fields[1], build.fields[0],
                                   build.fields[1], build.fields[2]};
    struct weir_operator join = {.kind = WEIR_OP_JOIN,
                                 .type = {.id = WEIR_STRUCT, .child_count = 5, .children = fields},
                                 .children = children,
                                 .child_count = 2,
                                 .left_keys = &key,
                                 .right_keys = &key,
                                 .key_count = 1};
    struct weir_aggregate_call calls[3];
    struct weir_field sums[3] = {0};
    static const uint32_t summed[3] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        must(weir_node_column(&arena, summed[i], &fields[1].type, -1, &columns[i], &error), &error);
        calls[i] = (struct weir_aggregate_call){
            .function = weir_aggregate_find("sum"), .arguments = &columns[i], .argument_count = 1};
        must(calls[i].function->bind(&arena, &calls[i], &error), &error);
        sums[i].type = calls[i].type;
    }
    struct weir_operator *child = &join,
                         sum = {.kind = WEIR_OP_AGGREGATE,
                                .type = {.id = WEIR_STRUCT, .child_count = 3, .children = sums},
                                .children = &child,
                                .child_count = 1,
                                .aggregates = calls,
                                .aggregate_count = 3};
    struct weir_exec_options options = {.context = &context, .account = &account, .spill = spill};
    struct weir_result_sink sink = {.batch = print_sums};
    for (int round = 0; round < 5; round++) {
        double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
        must(weir_execute(&options, &sum, &sink, NULL, &error), &error);
        printf(" cpu %.3f wall %.3f s, peak %zu MiB\n", seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
               seconds(CLOCK_MONOTONIC) - wall, atomic_load(&account.peak) >> 20);
    }
    weir_arena_done(&arena);
    weir_spill_free(spill);
    return 0;
}
