/* The directory over a join's build rows: chains by the hash's high bits. */
#include "engine/exec/join_int.h"

#include <sys/mman.h>

#define HUGE_PAGE  ((size_t)2 << 20)
#define LINK_AHEAD 12 /* rows that are fetched before they are linked */

static uint32_t directory_bits(uint64_t row_count)
{
    uint32_t bits = JOIN_PARTITION_BITS;
    while (bits < 40 && (1ull << bits) < row_count + row_count / 2)
        bits++;
    return bits;
}

struct building {
    struct join *join;
    struct join_table *table;
    bool unique[JOIN_PARTITIONS];
};

/* Is there a row of that hash in the chain? Hashes of 64 bits stand for keys here: a wrong yes only
 * costs a look at the rest of chains. */
static bool chain_has(uint8_t *place, uint64_t hash)
{
    for (; place; place = join_row_next(place))
        if (join_row(place)->hash == hash)
            return true;
    return false;
}

/* Rows are put in front of their chains from the last to the first. */
static weir_status link_partition(void *argument, size_t index, struct weir_error *reterr)
{
    struct building *building = argument;
    struct join_table *table = building->table;
    bool nulls = building->join->keeps_nulls &&
                 atomic_load_explicit(&building->join->null_seen, memory_order_relaxed);
    bool unique = true;
    for (uint64_t i = table->starts[index + 1]; i-- > table->starts[index];) {
        uint8_t *place = table->rows[i];
        if (i >= table->starts[index] + LINK_AHEAD)
            __builtin_prefetch(table->rows[i - LINK_AHEAD]);
        uint64_t hash = join_row(place)->hash;
        atomic_store_explicit(&join_row(place)->next, 0, memory_order_relaxed);
        if (nulls && join_row_dead(building->join, place))
            continue;
        uint64_t *entry = &table->directory[hash << table->rotate >> table->shift];
        uint8_t *first = (uint8_t *)(uintptr_t)(*entry & JOIN_ADDRESS);
        if (unique && (*entry & join_tag(hash)))
            unique = !chain_has(first, hash);
        atomic_store_explicit(&join_row(place)->next, (uintptr_t)first, memory_order_relaxed);
        *entry = (*entry & ~JOIN_ADDRESS) | join_tag(hash) | (uintptr_t)place;
    }
    building->unique[index] = unique;
    return WEIR_OK;
}

/* A zeroed directory. Looked up at random, so large ones ask for large pages: half of a look-up's
 * time goes to finding its page otherwise. */
static weir_status make_directory(struct join_table *table, uint32_t bits,
                                  struct weir_error *reterr)
{
    size_t size = sizeof *table->directory << bits;
    WEIR_TRY(weir_alloc(table->account, size, &table->directory, reterr));
    if (size >= 2 * HUGE_PAGE) {
        uintptr_t start = ((uintptr_t)table->directory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
        uintptr_t end = ((uintptr_t)table->directory + size) & ~(HUGE_PAGE - 1);
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE); /* only a wish */
    }
    memset(table->directory, 0, size);
    return WEIR_OK;
}

static weir_status gather_nulls(struct join *join, struct join_table *table,
                                struct weir_error *reterr)
{
    if (!join->mark_general || !atomic_load(&join->null_seen))
        return WEIR_OK;
    WEIR_TRY(weir_alloc(table->account, (table->row_count + 1) * sizeof *table->null_rows,
                        &table->null_rows, reterr));
    for (uint64_t i = 0; i < table->row_count; i++)
        if (join_row_dead(join, table->rows[i]))
            table->null_rows[table->null_count++] = table->rows[i];
    return WEIR_OK;
}

weir_status join_table_build(struct join *join, struct join_table *table,
                             const struct join_parts *parts, uint32_t rotate,
                             struct weir_context *context, struct weir_error *reterr)
{
    struct building building = {.join = join, .table = table};
    weir_status status;
    *table = (struct join_table){.account = join->sink.exec->account, .rotate = rotate};
    WEIR_TRY(join_parts_order(parts, &join->layout, context, table->account, &table->rows,
                              table->starts, reterr));
    table->row_count = table->starts[JOIN_PARTITIONS];
    WEIR_TRY_OUT(status, gather_nulls(join, table, reterr));
    uint32_t bits = directory_bits(table->row_count);
    table->shift = 64 - bits;
    if (join->key_count == 0)
        goto out;
    WEIR_TRY_OUT(status, make_directory(table, bits, reterr));
    if (context && rotate == 0 && table->row_count > 4096)
        status = weir_parallel(context, JOIN_PARTITIONS, link_partition, &building, reterr);
    else
        for (uint32_t p = 0; p < JOIN_PARTITIONS && status == WEIR_OK; p++)
            status = link_partition(&building, p, reterr);
    table->unique = true;
    for (uint32_t p = 0; p < JOIN_PARTITIONS; p++)
        table->unique &= building.unique[p];
out:
    if (status != WEIR_OK)
        join_table_done(table);
    return status;
}

void join_table_done(struct join_table *table)
{
    weir_free(table->rows);
    weir_free(table->directory);
    weir_free(table->null_rows);
    *table = (struct join_table){0};
}
