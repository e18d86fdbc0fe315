/* The spool: order, numbers, repeats, a limit, a file that a crash has torn. */
#include "connectors/spool/spool.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct weir_account account;
static struct weir_arena arena;
static char folder[] = "/tmp/weir-spool-XXXXXX", path[100], copy_path[100];

static void set_up(void)
{
    weir_account_init(&account, NULL, "test", 0);
    weir_arena_init(&arena, &account);
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.spool", folder);
    snprintf(copy_path, sizeof copy_path, "%s/b.spool", folder);
}

static void tear_down(void)
{
    char command[200];
    weir_arena_done(&arena);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(spool, .init = set_up, .fini = tear_down);

static struct weir_spool *open_spool(const char *at, uint64_t limit, bool drop_oldest)
{
    struct weir_spool *spool;
    struct weir_error error = {0};
    struct weir_spool_options options = {.path = at,
                                         .limit = limit,
                                         .drop_oldest = drop_oldest,
                                         .repeat_window_ms = 1000,
                                         .account = &account};
    cr_assert_eq(weir_spool_open(&options, &spool, &error), WEIR_OK, "%s", error.text);
    return spool;
}

static enum weir_spool_outcome put(struct weir_spool *spool, const char *value, const char *key,
                                   const char *body, int64_t now_ms, char answer[64])
{
    struct weir_spool_entry entry = {.value = {(const uint8_t *)value, strlen(value)}};
    struct weir_buffer text;
    weir_buffer_init(&text, &account);
    cr_assert_eq(weir_buffer_append(&text, answer, strlen(answer), NULL), WEIR_OK);
    struct weir_spool_put one = {.source = "s",
                                 .entries = &entry,
                                 .count = 1,
                                 .repeat_key = key,
                                 .body_digest = body,
                                 .answer = &text},
                          *puts[] = {&one};
    cr_assert_eq(weir_spool_put(spool, puts, 1, now_ms, NULL), WEIR_OK);
    snprintf(answer, 64, "%.*s", (int)text.size, (const char *)text.data);
    weir_buffer_done(&text);
    return one.outcome;
}

static enum weir_spool_outcome put_plain(struct weir_spool *spool, const char *value)
{
    char answer[64] = "";
    return put(spool, value, NULL, NULL, 1, answer);
}

/* Values with a space between them; *ret_last the last number. */
static const char *peek(struct weir_spool *spool, size_t records_max, int64_t *ret_last)
{
    static char out[4096];
    struct weir_spool_record *records;
    size_t count;
    cr_assert_eq(weir_spool_peek(spool, "s", records_max, 1 << 20, &arena, &records, &count, NULL),
                 WEIR_OK);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, sizeof out - used, "%s%.*s", i ? " " : "",
                 (int)records[i].entry.value.size, (const char *)records[i].entry.value.data);
        *ret_last = records[i].number;
    }
    return out;
}

Test(spool, in_order_and_numbers_are_never_given_twice)
{
    struct weir_spool *spool = open_spool(path, 1 << 20, false);
    char identity[100];
    int64_t last = 0, next = 0, taken;
    put_plain(spool, "a");
    put_plain(spool, "b");
    put_plain(spool, "c");
    cr_assert_str_eq(peek(spool, 2, &last), "a b");
    cr_assert_eq(weir_spool_done(spool, "s", last, &taken, NULL), WEIR_OK);
    cr_assert_eq(taken, 2);
    cr_assert_str_eq(peek(spool, 9, &last), "c");
    cr_assert_eq(weir_spool_done(spool, "s", last, &taken, NULL), WEIR_OK);
    snprintf(identity, sizeof identity, "%s", weir_spool_identity(spool));
    weir_spool_close(spool);
    spool = open_spool(path, 1 << 20, false);
    cr_assert_str_eq(weir_spool_identity(spool), identity);
    put_plain(spool, "d");
    cr_assert_str_eq(peek(spool, 9, &next), "d");
    cr_assert_gt(next, last);
    cr_assert_eq(weir_spool_reached(spool, "s", &taken, NULL), WEIR_OK);
    cr_assert_eq(taken, last);
    weir_spool_close(spool);
}

Test(spool, a_request_is_taken_once)
{
    struct weir_spool *spool = open_spool(path, 1 << 20, false);
    char answer[64] = "first";
    int64_t last;
    cr_assert_eq(put(spool, "a", "key", "body", 100, answer), WEIR_SPOOL_TAKEN);
    snprintf(answer, sizeof answer, "second");
    cr_assert_eq(put(spool, "a", "key", "body", 200, answer), WEIR_SPOOL_REPEATED);
    cr_assert_str_eq(answer, "first");
    cr_assert_eq(put(spool, "b", "key", "other", 200, answer), WEIR_SPOOL_CONFLICT);
    weir_spool_close(spool);
    spool = open_spool(path, 1 << 20, false);
    cr_assert_eq(put(spool, "a", "key", "body", 300, answer), WEIR_SPOOL_REPEATED);
    cr_assert_str_eq(peek(spool, 9, &last), "a");
    cr_assert_eq(put(spool, "a", "key", "body", 1200, answer), WEIR_SPOOL_TAKEN,
                 "the window ended");
    weir_spool_close(spool);
}

Test(spool, full)
{
    struct weir_spool *spool = open_spool(path, 200, false);
    struct weir_spool_counts counts;
    cr_assert_eq(put_plain(spool, "a"), WEIR_SPOOL_TAKEN);
    cr_assert_eq(put_plain(spool, "b"), WEIR_SPOOL_TAKEN);
    cr_assert_eq(put_plain(spool, "c"), WEIR_SPOOL_TAKEN);
    cr_assert_eq(put_plain(spool, "d"), WEIR_SPOOL_IS_FULL);
    weir_spool_count(spool, &counts);
    cr_assert(counts.records == 3 && counts.bytes == 195 && counts.dropped == 0);
    weir_spool_close(spool);
}

Test(spool, the_oldest_go_but_not_what_is_being_sent)
{
    struct weir_spool *spool = open_spool(path, 200, true);
    struct weir_spool_counts counts;
    int64_t last;
    put_plain(spool, "a");
    put_plain(spool, "b");
    put_plain(spool, "c");
    cr_assert_str_eq(peek(spool, 1, &last), "a");
    cr_assert_eq(put_plain(spool, "d"), WEIR_SPOOL_TAKEN);
    cr_assert_str_eq(peek(spool, 9, &last), "a c d");
    cr_assert_eq(put_plain(spool, "e"), WEIR_SPOOL_IS_FULL, "all of it is being sent");
    weir_spool_close(spool);
    spool = open_spool(path, 200, true);
    weir_spool_count(spool, &counts);
    cr_assert(counts.records == 3 && counts.dropped == 1 && counts.bytes == 195);
    weir_spool_close(spool);
}

Test(spool, buried)
{
    struct weir_spool *spool = open_spool(path, 1 << 20, false);
    struct weir_spool_counts counts;
    int64_t last;
    put_plain(spool, "a");
    put_plain(spool, "b");
    peek(spool, 1, &last);
    cr_assert_eq(weir_spool_bury(spool, last, "too large", NULL), WEIR_OK);
    cr_assert_str_eq(peek(spool, 9, &last), "b");
    weir_spool_count(spool, &counts);
    cr_assert(counts.records == 1 && counts.dead == 1 && counts.bytes == 65);
    weir_spool_close(spool);
}

Test(spool, one_process_has_it)
{
    struct weir_spool *spool = open_spool(path, 1 << 20, false), *other;
    struct weir_spool_options options = {.path = path, .limit = 1, .account = &account};
    struct weir_error error = {0};
    cr_assert_eq(weir_spool_open(&options, &other, &error), WEIR_UNAVAILABLE, "%s", error.text);
    weir_spool_close(spool);
}

Test(spool, no_spool)
{
    struct weir_spool *spool;
    struct weir_spool_options options = {.path = path, .limit = 1, .account = &account};
    struct weir_error error = {0};
    FILE *file = fopen(path, "w");
    cr_assert(file);
    for (int i = 0; i < 2000; i++)
        fputs("this is no database\n", file);
    fclose(file);
    cr_assert_eq(weir_spool_open(&options, &spool, &error), WEIR_CORRUPT, "%s", error.text);
    options.path = "/nowhere/at/all";
    cr_assert_eq(weir_spool_open(&options, &spool, &error), WEIR_DENIED, "%s", error.text);
}

static size_t copy_file(const char *from, const char *to, size_t limit)
{
    char bytes[4096];
    size_t size = 0;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t got;
    cr_assert(in >= 0 && out >= 0);
    while (size < limit && (got = read(in, bytes, sizeof bytes)) > 0) {
        size_t part = (size_t)got < limit - size ? (size_t)got : limit - size;
        cr_assert_eq(write(out, bytes, part), (ssize_t)part);
        size += part;
    }
    close(in);
    close(out);
    return size;
}

/* A machine that died: the file as it was, and a log that ends anywhere. What is there is a whole
 * number of puts, in order, from the first. */
Test(spool, a_torn_log_is_a_prefix_of_puts)
{
    struct weir_spool *spool = open_spool(path, 1 << 20, false);
    char log[120], copy_log[120], copy_index[120], wanted[400] = "";
    size_t whole, before = 0;
    int64_t last;
    snprintf(log, sizeof log, "%s-wal", path);
    snprintf(copy_log, sizeof copy_log, "%s-wal", copy_path);
    snprintf(copy_index, sizeof copy_index, "%s-shm", copy_path);
    for (int i = 0; i < 8; i++) {
        char value[2] = {(char)('a' + i), '\0'};
        put_plain(spool, value);
        snprintf(wanted + strlen(wanted), 8, "%s%s", i ? " " : "", value);
    }
    whole = copy_file(log, copy_log, SIZE_MAX);
    for (size_t cut = 40000; cut <= whole + 996; cut += 997) {
        unlink(copy_index);
        copy_file(path, copy_path, SIZE_MAX);
        copy_file(log, copy_log, cut);
        struct weir_spool *torn = open_spool(copy_path, 1 << 20, false);
        const char *found = peek(torn, 99, &last);
        cr_assert_eq(strncmp(found, wanted, strlen(found)), 0, "%s", found);
        cr_assert_geq(strlen(found), before, "a longer log lost a put");
        before = strlen(found);
        weir_spool_close(torn);
        weir_arena_reset(&arena);
    }
    cr_assert_eq(before, strlen(wanted), "the whole log has all");
    weir_spool_close(spool);
}
