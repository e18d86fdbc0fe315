/* When a promotion is due: what a source has gained, told from snapshots; rules of rows, age and
 * cron. */
#include "scheduler/promote/promote_int.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct weir_context context;

static void setup(void)
{
    weir_context_init(&context);
}

static void done(void)
{
    weir_context_done(&context);
}
TestSuite(due, .init = setup, .fini = done);

struct made {
    int64_t id, parent, ms;
    const char *operation;
    int added, deleted;
};

static struct weir_metadata *table_of(const struct made *made, size_t count)
{
    struct weir_metadata *metadata;
    struct weir_error error = {0};
    json_t *snapshots = json_array();
    for (size_t i = 0; i < count; i++) {
        char added[16], deleted[16];
        snprintf(added, sizeof added, "%d", made[i].added);
        snprintf(deleted, sizeof deleted, "%d", made[i].deleted);
        json_t *snapshot = json_pack(
            "{s:I, s:I, s:I, s:s, s:{s:s, s:s, s:s, s:s}}", "snapshot-id", (json_int_t)made[i].id,
            "sequence-number", (json_int_t)i, "timestamp-ms", (json_int_t)made[i].ms,
            "manifest-list", "m", "summary", "operation", made[i].operation, "added-records", added,
            "deleted-records", deleted, "weir.kind", made[i].added == 7 ? "promote" : "compact");
        if (made[i].parent >= 0)
            json_object_set_new(snapshot, "parent-snapshot-id", json_integer(made[i].parent));
        json_array_append_new(snapshots, snapshot);
    }
    json_t *document = json_pack(
        "{s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:[{s:i, s:s, s:[]}], s:i, s:[{s:i, s:[]}], s:i, "
        "s:[{s:i, s:[]}], s:i, s:o, s:I, s:{s:{s:I, s:s}}}",
        "format-version", 2, "table-uuid", "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location", "l",
        "last-sequence-number", 9, "last-updated-ms", 9, "last-column-id", 0, "current-schema-id",
        0, "schemas", "schema-id", 0, "type", "struct", "fields", "default-spec-id", 0,
        "partition-specs", "spec-id", 0, "fields", "default-sort-order-id", 0, "sort-orders",
        "order-id", 0, "fields", "last-partition-id", 999, "snapshots", snapshots,
        "current-snapshot-id", (json_int_t)made[count - 1].id, "refs", "main", "snapshot-id",
        (json_int_t)made[count - 1].id, "type", "branch");
    cr_assert_not_null(document);
    char *text = json_dumps(document, 0);
    cr_assert_eq(weir_metadata_parse(&context.memory, text, strlen(text), &metadata, &error),
                 WEIR_OK, "%s", error.text);
    free(text);
    json_decref(document);
    return metadata;
}

static const struct made history[] = {{10, -1, 1000, "append", 0, 0},
                                      {11, 10, 2000, "append", 5, 0},
                                      {12, 11, 3000, "append", 7, 0},
                                      {13, 12, 4000, "replace", 12, 12},
                                      {14, 13, 5000, "overwrite", 3, 2}};

static struct gained gained_of(const struct made *made, size_t count, int64_t from, int64_t to)
{
    struct gained gained = {0};
    struct weir_metadata *metadata = table_of(made, count);
    due_gained(metadata, from, to, &gained);
    weir_metadata_free(metadata);
    return gained;
}

Test(due, gained)
{
    struct gained all = gained_of(history, 5, 0, 14), some = gained_of(history, 5, 11, 14),
                  none = gained_of(history, 5, 12, 13), other = gained_of(history, 5, 14, 12),
                  cut = gained_of(history + 3, 2, 11, 14);
    cr_expect(all.rows == 15 && all.oldest_ms == 2000 && all.any && !all.cut);
    cr_expect(some.rows == 10 && some.oldest_ms == 3000 && some.any && !some.cut);
    cr_expect(none.rows == 0 && !none.any && !none.cut, "a rewrite brings nothing");
    cr_expect(other.cut, "rolled back");
    cr_expect(cut.cut, "expired in between");
}

Test(due, promoted_last)
{
    struct weir_metadata *metadata = table_of(history, 5), *never = table_of(history, 2);
    cr_expect_eq(due_promoted_ms(metadata, 14), 3000);
    cr_expect_eq(due_promoted_ms(never, 11), 0);
    weir_metadata_free(metadata);
    weir_metadata_free(never);
}

static void expect_rule(int64_t rows, int64_t age_ms, struct gained gained, int64_t now_ms,
                        bool wanted, const char *why)
{
    struct weir_promote_rule rule = {.when = WEIR_WHEN_RULE, .rows = rows, .age_ms = age_ms};
    char text[300];
    cr_expect_eq(due_by_rule(&rule, &gained, now_ms, text, sizeof text), wanted, "%s", why);
    cr_expect_str_eq(text, why);
}

Test(due, rules)
{
    const struct gained some = {.rows = 12000, .oldest_ms = 1000000, .any = true}, none = {0};
    int64_t minute = 60000, now = 1000000 + 3 * minute;
    expect_rule(100000, 15 * minute, some, now, false,
                "not due: 12,000 of 100,000 rows, 3 min of 15 min");
    expect_rule(12000, 15 * minute, some, now, true, "12,000 of 12,000 rows, 3 min of 15 min");
    expect_rule(1234567, 3 * minute, some, now, true, "12,000 of 1,234,567 rows, 3 min of 3 min");
    expect_rule(0, 36 * 60 * minute, some, now, false, "not due: 3 min of 36 h");
    expect_rule(12001, -1, some, now, false, "not due: 12,000 of 12,001 rows");
    expect_rule(1, 1, none, now, false, "not due: 0 of 1 rows, 0 s of 0 s");
    expect_rule(0, 90000, some, 0, false, "not due: 0 s of 90 s"); /* a clock that is behind */
    expect_rule(1000000, -1, (struct gained){.cut = true}, now, true,
                "a source has moved on, by more than its snapshots tell");
}

Test(due, cron)
{
    struct weir_promote_rule rule = {.when = WEIR_WHEN_CRON, .cron_text = "0 6 * * *"};
    const char *words;
    char text[300];
    int64_t day = 86400000, six = 6 * 3600000;
    cr_assert(weir_cron_parse(rule.cron_text, strlen(rule.cron_text), &rule.cron, &words));
    cr_expect(due_by_cron(&rule, 10 * day, 10 * day + six, text, sizeof text));
    cr_expect_str_eq(text, "\"0 6 * * *\" was last at 1970-01-11 06:00 UTC");
    cr_expect_not(due_by_cron(&rule, 10 * day, 10 * day + six - 1, text, sizeof text));
    cr_expect_not(due_by_cron(&rule, 10 * day + six, 10 * day + six + 5, text, sizeof text));
    cr_expect_str_eq(text, "not due: \"0 6 * * *\" was last at 1970-01-11 06:00 UTC, and it has "
                           "been promoted since");
    cr_expect(due_by_cron(&rule, 10 * day + six, 11 * day + six, text, sizeof text));
    cr_expect(due_by_cron(&rule, 0, 11 * day, text, sizeof text), "never promoted");
}
