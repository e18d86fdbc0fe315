/* Which files compaction puts together: by partition value, small ones to the target, with deletes
 * and of old specs always; few rows written again and again. */
#include "scheduler/upkeep/compact_plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1LL << 20)

static struct weir_context context;
static struct weir_arena arena;
static struct weir_partition_field day = {1, 1000, "day", "day"};
static struct weir_partition_spec specs[2];
static struct compact_rules rules;

static void setup(void)
{
    weir_context_init(&context);
    weir_arena_init(&arena, &context.memory);
    specs[0] = (struct weir_partition_spec){.id = 0};
    specs[1] = (struct weir_partition_spec){.id = 1, .fields = &day, .field_count = 1};
    rules = (struct compact_rules){
        .specs = specs, .spec_count = 2, .spec_id = 1, .target = 128 * MIB, .small_files = 10};
}

static void done(void)
{
    weir_arena_done(&arena);
    weir_context_done(&context);
}
TestSuite(compact_plan, .init = setup, .fini = done);

static struct weir_manifest_entry entry(int number, const char *value, int64_t size)
{
    struct weir_manifest_entry made = {.sequence_number = number};
    struct weir_bytes *partition;
    char *path;
    cr_assert_eq(weir_arena_zero(&arena, 1, sizeof *partition, &partition, NULL), WEIR_OK);
    cr_assert_eq(weir_arena_print(&arena, &path, NULL, "data/%05d.parquet", number), WEIR_OK);
    if (value)
        *partition = (struct weir_bytes){(const uint8_t *)value, strlen(value)};
    made.file = (struct weir_data_file){.path = path,
                                        .format = "PARQUET",
                                        .spec_id = 1,
                                        .partition = partition,
                                        .partition_count = 1,
                                        .record_count = 10,
                                        .file_size = size};
    return made;
}

static struct compact_plan plan(const struct weir_manifest_entry *entries, size_t count)
{
    struct compact_plan made = {0};
    struct weir_error error = {0};
    cr_assert_eq(compact_plan_make(&arena, entries, count, &rules, &made, &error), WEIR_OK, "%s",
                 error.text);
    return made;
}

Test(compact_plan, partitions_stand_alone)
{
    struct weir_manifest_entry entries[30];
    for (int i = 0; i < 30; i++)
        entries[i] = entry(i, i < 9 ? "a" : i < 29 ? "b" : NULL, MIB);
    struct compact_plan made = plan(entries, 30);
    cr_assert_eq(made.count, 1); /* nine are too few, and one has nobody */
    cr_assert_eq(made.groups[0].count, 20);
    for (size_t i = 0; i < 20; i++)
        cr_assert_str_eq(made.groups[0].files[i]->file.path, entries[9 + i].file.path);
    rules.all = true;
    made = plan(entries, 30);
    cr_assert_eq(made.count, 2);
    cr_assert_eq(made.debt, 29);
}

Test(compact_plan, groups_are_of_the_target)
{
    struct weir_manifest_entry entries[40];
    int64_t most = 0;
    size_t files = 0;
    for (int i = 0; i < 40; i++)
        entries[i] = entry(i, "a", (i % 7 + 10) * MIB);
    rules.all = true;
    struct compact_plan made = plan(entries, 40);
    for (size_t g = 0; g < made.count; g++) {
        most = made.groups[g].bytes > most ? made.groups[g].bytes : most;
        files += made.groups[g].count;
        cr_assert(g + 1 == made.count || made.groups[g].bytes >= 96 * MIB);
    }
    cr_assert_eq(files, 40);
    cr_assert_leq(most, 192 * MIB);
    /* what is large enough is left alone */
    for (int i = 0; i < 40; i++)
        entries[i].file.file_size = 96 * MIB;
    cr_assert_eq(plan(entries, 40).count, 0);
    /* nor is anything gained by a pair that fits nowhere */
    entries[0].file.file_size = 95 * MIB;
    cr_assert_eq(plan(entries, 1).count, 0);
}

/* Files come one by one and are put together when due: how often is a row written? */
Test(compact_plan, a_row_is_written_a_few_times)
{
    static struct weir_manifest_entry entries[4000];
    size_t count = 0;
    int64_t written = 0, brought = 0;
    for (int n = 0; n < 2000; n++) {
        entries[count++] = entry(n, "a", MIB / 10);
        brought += MIB / 10;
        struct compact_plan made = plan(entries, count);
        for (size_t g = 0; g < made.count; g++) {
            struct weir_manifest_entry sum = entry(100000 + n, "a", made.groups[g].bytes);
            written += made.groups[g].bytes;
            for (size_t i = 0; i < made.groups[g].count; i++)
                for (size_t k = 0; k < count; k++)
                    if (strcmp(entries[k].file.path, made.groups[g].files[i]->file.path) == 0)
                        entries[k--] = entries[--count];
            entries[count++] = sum;
        }
        cr_assert_lt(count, 14, "%zu files after %d", count, n);
    }
    cr_assert_lt(written, 6 * brought, "%lld bytes were written for %lld", (long long)written,
                 (long long)brought);
}

Test(compact_plan, old_specs_and_deletes_are_written_anew)
{
    struct weir_manifest_entry entries[6];
    rules.all = true;
    for (int i = 0; i < 6; i++)
        entries[i] = entry(i + 1, "a", 100 * MIB);
    cr_assert_eq(plan(entries, 6).count, 0);
    entries[0].file.spec_id = 0;
    entries[0].file.partition_count = 0;
    struct compact_plan made = plan(entries, 6);
    cr_assert_eq(made.count, 1);
    cr_assert_str_eq(made.groups[0].files[0]->file.path, entries[0].file.path);
    /* a position delete file that names one file, and equality deletes: only of older files */
    entries[0] = entry(1, "a", 100 * MIB);
    entries[4].file.content = 1;
    entries[4].file.referenced_data_file = entries[1].file.path;
    entries[5].file.content = 2;
    entries[5].sequence_number = 2;
    made = plan(entries, 6);
    cr_assert_eq(made.count, 2);
    cr_assert_str_eq(made.groups[0].files[0]->file.path, entries[0].file.path);
    cr_assert_str_eq(made.groups[1].files[0]->file.path, entries[1].file.path);
    cr_assert(made.groups[0].deletes && made.groups[1].deletes);
    const char **spent;
    size_t count;
    cr_assert_eq(
        compact_plan_spent(&arena, entries, 6, &rules, made.groups, 1, &spent, &count, NULL),
        WEIR_OK);
    cr_assert_eq(count, 1); /* the equality deletes: the other file needs its own */
    cr_assert_str_eq(spent[0], entries[5].file.path);
    cr_assert_eq(
        compact_plan_spent(&arena, entries, 6, &rules, made.groups, 2, &spent, &count, NULL),
        WEIR_OK);
    cr_assert_eq(count, 2);
}

Test(compact_plan, equality_deletes_without_partitions_are_everybodys)
{
    struct weir_manifest_entry entries[3];
    rules.all = true;
    entries[0] = entry(1, "a", 100 * MIB);
    entries[1] = entry(2, "b", 100 * MIB);
    entries[2] = entry(3, NULL, 1000);
    entries[2].file.content = 2;
    entries[2].file.spec_id = 0;
    entries[2].file.partition_count = 0;
    cr_assert_eq(plan(entries, 3).count, 2);
    entries[2].file.content = 1; /* positions are not */
    cr_assert_eq(plan(entries, 3).count, 0);
}

Test(compact_plan, what_it_cannot_read_stays)
{
    struct weir_manifest_entry entries[4];
    rules.all = true;
    for (int i = 0; i < 4; i++)
        entries[i] = entry(i, "a", MIB);
    entries[0].file.format = "ORC";
    entries[1].file.key_metadata = (struct weir_bytes){(const uint8_t *)"k", 1};
    struct compact_plan made = plan(entries, 4);
    cr_assert_eq(made.count, 1);
    cr_assert_eq(made.groups[0].count, 2);
}

/* By the bound of the order's column, not by when they were written; a bound that is none is last.
 */
Test(compact_plan, order)
{
    static const struct weir_type whole = {.id = WEIR_LONG};
    struct weir_manifest_entry entries[4];
    struct weir_id_bound bounds[4];
    int64_t values[4] = {30, 10, 20, 0};
    for (int i = 0; i < 4; i++) {
        entries[i] = entry(i, "a", MIB);
        bounds[i] = (struct weir_id_bound){7, {(const uint8_t *)&values[i], i == 3 ? 3 : 8}};
        entries[i].file.lower = &bounds[i];
        entries[i].file.lower_count = 1;
    }
    rules.all = true;
    rules.order_id = 7;
    rules.order_type = &whole;
    struct compact_plan made = plan(entries, 4);
    static const int wanted[4] = {1, 2, 0, 3};
    for (size_t i = 0; i < 4; i++)
        cr_assert_str_eq(made.groups[0].files[i]->file.path, entries[wanted[i]].file.path);
}
