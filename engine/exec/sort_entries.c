/* Sorting in memory: records by their keys, eight bytes at a time.
 *
 * Entries hold the next eight key bytes beside the record. They are dealt into buckets by the
 * highest bits in which they differ; where they do not differ any more, the next eight bytes are
 * fetched. So a long common beginning costs one pass, not a comparison each time. Every step keeps
 * the order of equals. */
#include "engine/exec/sort_int.h"

#include <stdlib.h>

#define DIGIT_BITS     10
#define DIGITS         (1u << DIGIT_BITS)
#define FEW            24u     /* entries that are sorted by insertion */
#define SHARED_COUNT   131072u /* entries that are worth more threads */
#define STOP_COUNT     65536u  /* entries between looks at the wish to stop */
#define SLICES         16u
#define SHARED_DEPTH   4
#define DEPTH_SEQUENCE (UINT32_MAX - 8) /* beyond every key */

struct sorting {
    const struct sorter *sorter;
    struct weir_context *context;
};

uint32_t sort_common(const uint8_t *a, const uint8_t *b, uint32_t most)
{
    uint32_t at = 0;
    for (; at + 8 <= most; at += 8) {
        uint64_t x, y;
        memcpy(&x, a + at, sizeof x);
        memcpy(&y, b + at, sizeof y);
        if (x != y)
            return at + (uint32_t)__builtin_ctzll(x ^ y) / 8;
    }
    while (at < most && a[at] == b[at])
        at++;
    return at;
}

static int key_order(const struct sorter *sorter, const uint8_t *a, const uint8_t *b,
                     uint32_t depth)
{
    uint32_t size_a = sort_head(a)->key_size, size_b = sort_head(b)->key_size,
             size = size_a < size_b ? size_a : size_b;
    if (depth >= size)
        return 0;
    return memcmp(a + sorter->key_offset + depth, b + sorter->key_offset + depth, size - depth);
}

int sort_order(const struct sorter *sorter, const uint8_t *a, const uint8_t *b)
{
    int order = key_order(sorter, a, b, 0);
    if (order)
        return order;
    return sort_head(a)->sequence < sort_head(b)->sequence ? -1 : 1;
}

static bool after(const struct sorter *sorter, const struct sort_entry *a,
                  const struct sort_entry *b, uint32_t depth)
{
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    int order = key_order(sorter, a->record, b->record, depth + 8);
    return order > 0 ||
           (order == 0 && sort_head(a->record)->sequence > sort_head(b->record)->sequence);
}

static void sort_few(const struct sorting *sorting, struct sort_entry *entries, uint64_t count,
                     uint32_t depth)
{
    for (uint64_t i = 1; i < count; i++) {
        struct sort_entry entry = entries[i];
        uint64_t at = i;
        for (; at && after(sorting->sorter, &entries[at - 1], &entry, depth); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static uint64_t differing_bits(const struct sort_entry *entries, uint64_t count)
{
    uint64_t first = entries[0].prefix, differing = 0;
    for (uint64_t i = 1; i < count; i++)
        differing |= entries[i].prefix ^ first;
    return differing;
}

/* All entries have the same prefix: fetches the first bytes that differ. false: they are equal. */
static bool go_deeper(const struct sorting *sorting, struct sort_entry *entries, uint64_t count,
                      uint32_t *depth)
{
    uint32_t offset = sorting->sorter->key_offset, from = *depth + 8;
    const uint8_t *first = entries[0].record;
    uint32_t size = sort_head(first)->key_size;
    if (from >= size)
        return false;
    uint32_t common = size - from;
    for (uint64_t i = 1; i < count && common; i++) {
        const uint8_t *record = entries[i].record;
        uint32_t other = sort_head(record)->key_size;
        other = other > from ? other - from : 0;
        common = sort_common(first + offset + from, record + offset + from,
                             other < common ? other : common);
    }
    *depth = from + common;
    if (*depth >= size)
        return false;
    for (uint64_t i = 0; i < count; i++)
        entries[i].prefix = sort_prefix(entries[i].record + offset,
                                        sort_head(entries[i].record)->key_size, *depth);
    return true;
}

/* Equal keys come in order of sequence but for those of a TopN, which was cut before. */
static bool go_sequence(const struct sorting *sorting, struct sort_entry *entries, uint64_t count,
                        uint32_t *depth)
{
    if (sorting->sorter->keep == UINT64_MAX || *depth == DEPTH_SEQUENCE)
        return false;
    *depth = DEPTH_SEQUENCE;
    for (uint64_t i = 0; i < count; i++)
        entries[i].prefix = sort_head(entries[i].record)->sequence;
    return true;
}

struct digit {
    int shift;
    uint32_t mask;
};

static struct digit digit_of(uint64_t differing, uint64_t count)
{
    int high = 64 - __builtin_clzll(differing), bits = 64 - __builtin_clzll(count);
    bits = bits > DIGIT_BITS ? DIGIT_BITS : bits;
    bits = bits > high ? high : bits;
    return (struct digit){.shift = high - bits, .mask = (1u << bits) - 1};
}

static inline uint32_t digit_at(struct digit digit, uint64_t prefix)
{
    return (uint32_t)(prefix >> digit.shift) & digit.mask;
}

/* Deals entries into buckets; ends[i] is where bucket i ends. */
static void deal(struct sort_entry *entries, struct sort_entry *temporary, uint64_t count,
                 struct digit digit, uint64_t ends[DIGITS])
{
    uint64_t sum = 0;
    memset(ends, 0, (digit.mask + 1) * sizeof *ends);
    for (uint64_t i = 0; i < count; i++)
        ends[digit_at(digit, entries[i].prefix)]++;
    for (uint32_t i = 0; i <= digit.mask; i++) {
        uint64_t size = ends[i];
        ends[i] = sum;
        sum += size;
    }
    for (uint64_t i = 0; i < count; i++)
        temporary[ends[digit_at(digit, entries[i].prefix)]++] = entries[i];
    memcpy(entries, temporary, count * sizeof *entries);
}

static bool stopped(const struct sorting *sorting)
{
    return weir_context_check(sorting->sorter->exec->context, NULL) != WEIR_OK;
}

static void sort_range(const struct sorting *sorting, struct sort_entry *entries,
                       struct sort_entry *temporary, uint64_t count, uint32_t depth)
{
    uint64_t ends[DIGITS];
    while (count > FEW) {
        if (count >= STOP_COUNT && stopped(sorting))
            return; /* sort_parts tells */
        uint64_t differing = differing_bits(entries, count);
        if (!differing) {
            if (!go_deeper(sorting, entries, count, &depth) &&
                !go_sequence(sorting, entries, count, &depth))
                return;
            continue;
        }
        struct digit digit = digit_of(differing, count);
        deal(entries, temporary, count, digit, ends);
        /* the largest bucket goes on here, so that the stack stays small whatever the keys */
        uint64_t largest = 0, largest_at = 0, start = 0;
        for (uint32_t i = 0; i <= digit.mask; start = ends[i++])
            if (ends[i] - start > largest) {
                largest = ends[i] - start;
                largest_at = start;
            }
        start = 0;
        for (uint32_t i = 0; i <= digit.mask; start = ends[i++])
            if (start != largest_at && ends[i] - start > 1)
                sort_range(sorting, entries + start, temporary + start, ends[i] - start, depth);
        entries += largest_at;
        temporary += largest_at;
        count = largest;
    }
    sort_few(sorting, entries, count, depth);
}

/* ---- by more than one thread ---- */

struct dealing {
    const struct sorting *sorting;
    struct sort_entry *entries, *temporary;
    uint64_t count;
    uint32_t depth;
    struct digit digit;
    uint64_t differing[SLICES];
    uint64_t (*places)[DIGITS]; /* by slice: counts, then where its entries go */
    uint64_t ends[DIGITS];
};

static uint64_t slice_start(const struct dealing *dealing, size_t slice)
{
    return dealing->count / SLICES * slice;
}
static uint64_t slice_end(const struct dealing *dealing, size_t slice)
{
    return slice + 1 == SLICES ? dealing->count : slice_start(dealing, slice + 1);
}

static weir_status differ_slice(void *argument, size_t slice, struct weir_error *reterr)
{
    struct dealing *dealing = argument;
    uint64_t first = dealing->entries[0].prefix, differing = 0;
    for (uint64_t i = slice_start(dealing, slice); i < slice_end(dealing, slice); i++)
        differing |= dealing->entries[i].prefix ^ first;
    dealing->differing[slice] = differing;
    return WEIR_OK;
}

static weir_status count_slice(void *argument, size_t slice, struct weir_error *reterr)
{
    struct dealing *dealing = argument;
    uint64_t *counts = dealing->places[slice];
    memset(counts, 0, sizeof *dealing->places);
    for (uint64_t i = slice_start(dealing, slice); i < slice_end(dealing, slice); i++)
        counts[digit_at(dealing->digit, dealing->entries[i].prefix)]++;
    return WEIR_OK;
}

static weir_status deal_slice(void *argument, size_t slice, struct weir_error *reterr)
{
    struct dealing *dealing = argument;
    uint64_t *places = dealing->places[slice];
    for (uint64_t i = slice_start(dealing, slice); i < slice_end(dealing, slice); i++) {
        const struct sort_entry *entry = &dealing->entries[i];
        dealing->temporary[places[digit_at(dealing->digit, entry->prefix)]++] = *entry;
    }
    return WEIR_OK;
}

static weir_status copy_slice(void *argument, size_t slice, struct weir_error *reterr)
{
    struct dealing *dealing = argument;
    uint64_t start = slice_start(dealing, slice);
    memcpy(dealing->entries + start, dealing->temporary + start,
           (slice_end(dealing, slice) - start) * sizeof *dealing->entries);
    return WEIR_OK;
}

static bool is_large(const struct dealing *dealing, uint64_t size)
{
    return size >= SHARED_COUNT && size > dealing->count / 8;
}

static weir_status sort_bucket(void *argument, size_t bucket, struct weir_error *reterr)
{
    struct dealing *dealing = argument;
    uint64_t start = bucket ? dealing->ends[bucket - 1] : 0, size = dealing->ends[bucket] - start;
    if (size > 1 && !is_large(dealing, size))
        sort_range(dealing->sorting, dealing->entries + start, dealing->temporary + start, size,
                   dealing->depth);
    return WEIR_OK;
}

static void place_buckets(struct dealing *dealing)
{
    uint64_t sum = 0;
    for (uint32_t digit = 0; digit <= dealing->digit.mask; digit++) {
        for (size_t slice = 0; slice < SLICES; slice++) {
            uint64_t size = dealing->places[slice][digit];
            dealing->places[slice][digit] = sum;
            sum += size;
        }
        dealing->ends[digit] = sum;
    }
}

static weir_status sort_shared(const struct sorting *sorting, struct sort_entry *entries,
                               struct sort_entry *temporary, uint64_t count, uint32_t depth,
                               int level, struct weir_error *reterr);

static weir_status deal_shared(struct dealing *dealing, int level, struct weir_error *reterr)
{
    struct weir_context *context = dealing->sorting->context;
    uint64_t differing = 0, start = 0;
    WEIR_TRY(weir_parallel(context, SLICES, differ_slice, dealing, reterr));
    for (size_t i = 0; i < SLICES; i++)
        differing |= dealing->differing[i];
    if (!differing) {
        sort_range(dealing->sorting, dealing->entries, dealing->temporary, dealing->count,
                   dealing->depth);
        return WEIR_OK;
    }
    dealing->digit = digit_of(differing, dealing->count);
    WEIR_TRY(weir_parallel(context, SLICES, count_slice, dealing, reterr));
    place_buckets(dealing);
    WEIR_TRY(weir_parallel(context, SLICES, deal_slice, dealing, reterr));
    WEIR_TRY(weir_parallel(context, SLICES, copy_slice, dealing, reterr));
    WEIR_TRY(weir_parallel(context, dealing->digit.mask + 1, sort_bucket, dealing, reterr));
    for (uint32_t i = 0; i <= dealing->digit.mask; start = dealing->ends[i++])
        if (is_large(dealing, dealing->ends[i] - start))
            WEIR_TRY(sort_shared(dealing->sorting, dealing->entries + start,
                                 dealing->temporary + start, dealing->ends[i] - start,
                                 dealing->depth, level + 1, reterr));
    return WEIR_OK;
}

static weir_status sort_shared(const struct sorting *sorting, struct sort_entry *entries,
                               struct sort_entry *temporary, uint64_t count, uint32_t depth,
                               int level, struct weir_error *reterr)
{
    if (!sorting->context || sorting->context->thread_count < 2 || count < SHARED_COUNT ||
        level > SHARED_DEPTH) {
        sort_range(sorting, entries, temporary, count, depth);
        return WEIR_OK;
    }
    struct dealing *dealing;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(sorting->sorter->exec->account, 1, sizeof *dealing, &dealing, reterr));
    *dealing = (struct dealing){.sorting = sorting,
                                .entries = entries,
                                .temporary = temporary,
                                .count = count,
                                .depth = depth};
    status = weir_alloc(sorting->sorter->exec->account, SLICES * sizeof *dealing->places,
                        &dealing->places, reterr);
    if (status == WEIR_OK)
        status = deal_shared(dealing, level, reterr);
    weir_free(dealing->places);
    weir_free(dealing);
    return status;
}

weir_status sort_entries(const struct sorter *sorter, struct weir_context *context,
                         struct sort_entry *entries, struct sort_entry *temporary, uint64_t count,
                         uint32_t depth, struct weir_error *reterr)
{
    struct sorting sorting = {.sorter = sorter, .context = context};
    return sort_shared(&sorting, entries, temporary, count, depth, 0, reterr);
}

/* ---- from records to entries ---- */

struct filling {
    const struct sorter *sorter;
    struct sort_part **parts;
    struct sort_entry **places;
    uint32_t common;
};

static weir_status fill_part(void *argument, size_t index, struct weir_error *reterr)
{
    struct filling *filling = argument;
    const struct sorter *sorter = filling->sorter;
    struct sort_entry *entry = filling->places[index];
    struct weir_row_cursor cursor = {0};
    uint8_t *record;
    while ((record = weir_row_store_next(&filling->parts[index]->store, &sorter->record, &cursor)))
        *entry++ = (struct sort_entry){
            sort_prefix(record + sorter->key_offset, sort_head(record)->key_size, filling->common),
            record};
    return WEIR_OK;
}

static int by_morsel(const void *a, const void *b)
{
    const struct sort_part *x = *(struct sort_part *const *)a, *y = *(struct sort_part *const *)b;
    return x->morsel < y->morsel ? -1 : x->morsel > y->morsel;
}

static weir_status fill(const struct sorter *sorter, struct sort_part *parts, uint32_t common,
                        struct weir_context *context, struct sort_entry *entries,
                        struct weir_error *reterr)
{
    WEIR_AUTO(weir_arena) arena;
    struct filling filling = {.sorter = sorter, .common = common};
    size_t count = 0;
    weir_arena_init(&arena, sorter->exec->account);
    for (struct sort_part *part = parts; part; part = part->next)
        count++;
    WEIR_TRY(weir_arena_alloc(&arena, (count + 1) * sizeof *filling.parts, &filling.parts, reterr));
    WEIR_TRY(
        weir_arena_alloc(&arena, (count + 1) * sizeof *filling.places, &filling.places, reterr));
    count = 0;
    for (struct sort_part *part = parts; part; part = part->next) {
        filling.parts[count++] = part;
    }
    qsort(filling.parts, count, sizeof *filling.parts, by_morsel);
    for (size_t i = 0; i < count; i++) {
        filling.places[i] = entries;
        entries += filling.parts[i]->store.row_count;
    }
    if (context)
        return weir_parallel(context, count, fill_part, &filling, reterr);
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(fill_part(&filling, i, reterr));
    return WEIR_OK;
}

weir_status sort_parts(const struct sorter *sorter, struct sort_part *parts, uint32_t common,
                       bool parallel, struct sort_entry **ret_entries, uint64_t *ret_count,
                       struct weir_error *reterr)
{
    struct weir_account *account = sorter->exec->account;
    struct weir_context *context = parallel ? sorter->exec->context : NULL;
    struct sort_entry *entries = NULL, *temporary = NULL;
    uint64_t count = 0;
    weir_status status;
    for (struct sort_part *part = parts; part; part = part->next) {
        count += part->store.row_count;
        weir_account_release(account, part->reserved); /* it was for this */
        part->reserved = 0;
    }
    WEIR_TRY_OUT(status, weir_alloc(account, count * sizeof *entries, &entries, reterr));
    WEIR_TRY_OUT(status, weir_alloc(account, count * sizeof *entries, &temporary, reterr));
    WEIR_TRY_OUT(status, fill(sorter, parts, common, context, entries, reterr));
    WEIR_TRY_OUT(status, sort_entries(sorter, context, entries, temporary, count, common, reterr));
    WEIR_TRY_OUT(status, weir_context_check(sorter->exec->context, reterr));
    *ret_entries = entries;
    *ret_count = count;
    entries = NULL;
out:
    weir_free(entries);
    weir_free(temporary);
    return status;
}
