/* The local store: names, races between processes, full disks, killed writers. */
#include "connectors/file/local.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct weir_context context;
static struct weir_object_store store;
static struct weir_error error;
static char folder[] = "/tmp/weir-local-XXXXXX";

static void open_store(void)
{
    memset(&error, 0, sizeof error);
    weir_context_init(&context);
    cr_assert(mkdtemp(folder));
    cr_assert_eq(weir_store_local_new(&context, folder, &store, &error), WEIR_OK, "%s", error.text);
}

static void close_store(void)
{
    char command[128];
    store.operations->free(store.self);
    cr_expect_eq(atomic_load(&context.memory.used), 0, "memory left: %zu",
                 atomic_load(&context.memory.used));
    weir_context_done(&context);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(local, .init = open_store, .fini = close_store);

static weir_status put(const char *name, const char *text, enum weir_put_mode mode,
                       const char *etag, char *ret_etag)
{
    return store.operations->put(store.self, name, text, strlen(text), mode, etag, ret_etag,
                                 &error);
}

static void expect_content(const char *name, const char *text)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    struct weir_object_info info;
    cr_assert_eq(store.operations->get(store.self, name, 0, UINT64_MAX, &buffer, &info, &error),
                 WEIR_OK, "%s", error.text);
    cr_expect_eq(buffer.size, strlen(text));
    cr_expect_eq(memcmp(buffer.data, text, buffer.size), 0);
    cr_expect_eq(info.size, buffer.size);
}

/* Files below the root, hidden ones too, without the lock files. */
static int files_there(void)
{
    char command[256];
    int count = -1;
    snprintf(command, sizeof command, "find %s -type f -not -path '*/.weir-locks/*' | wc -l",
             folder);
    FILE *pipe = popen(command, "r");
    cr_assert_eq(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

Test(local, put_if_absent_once)
{
    char etag[WEIR_ETAG_SIZE];
    struct weir_object_info info;
    cr_assert_eq(put("t/metadata/v1.metadata.json", "one", WEIR_PUT_IF_ABSENT, NULL, etag), WEIR_OK,
                 "%s", error.text);
    cr_assert_eq(put("t/metadata/v1.metadata.json", "two", WEIR_PUT_IF_ABSENT, NULL, NULL),
                 WEIR_PRECONDITION);
    expect_content("t/metadata/v1.metadata.json", "one");
    cr_assert_eq(store.operations->head(store.self, "t/metadata/v1.metadata.json", &info, &error),
                 WEIR_OK);
    cr_expect_str_eq(info.etag, etag);
    cr_expect_eq(store.operations->head(store.self, "t/metadata/v2.metadata.json", &info, &error),
                 WEIR_NOT_FOUND);
    cr_expect_eq(store.operations->head(store.self, "t/metadata", &info, &error), WEIR_NOT_FOUND,
                 "a folder is no object");
    cr_expect_eq(files_there(), 1, "no temporary file stays");
}

Test(local, put_if_match)
{
    char first[WEIR_ETAG_SIZE], second[WEIR_ETAG_SIZE];
    cr_assert_eq(put("hint", "1", WEIR_PUT_IF_MATCH, "no-such", NULL), WEIR_PRECONDITION,
                 "missing object");
    cr_assert_eq(put("hint", "1", WEIR_PUT_IF_ABSENT, NULL, first), WEIR_OK);
    cr_assert_eq(put("hint", "2", WEIR_PUT_IF_MATCH, first, second), WEIR_OK, "%s", error.text);
    cr_expect_str_neq(first, second);
    cr_assert_eq(put("hint", "3", WEIR_PUT_IF_MATCH, first, NULL), WEIR_PRECONDITION);
    expect_content("hint", "2");
}

/* Many quick replacements of equal size: no etag may ever come back, though inodes and clock ticks
 * do. */
Test(local, etags_never_return)
{
    static char seen[500][WEIR_ETAG_SIZE];
    cr_assert_eq(put("hint", "0", WEIR_PUT_IF_ABSENT, NULL, seen[0]), WEIR_OK);
    for (int i = 1; i < 500; i++) {
        cr_assert_eq(put("hint", "1", WEIR_PUT_IF_MATCH, seen[i - 1], seen[i]), WEIR_OK, "%s",
                     error.text);
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(seen[i], seen[j], "%d and %d", i, j);
    }
}

/* Four processes, each raising a counter 50 times by put-if-match: no increment may be lost. */
static void count_up(void)
{
    for (int done = 0; done < 50;) {
        WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
        struct weir_object_info info;
        char text[32];
        if (store.operations->get(store.self, "counter", 0, UINT64_MAX, &buffer, &info, &error) !=
            WEIR_OK)
            _exit(1);
        snprintf(text, sizeof text, "%d",
                 atoi(memcpy((char[32]){0}, buffer.data, buffer.size)) + 1);
        weir_status status = put("counter", text, WEIR_PUT_IF_MATCH, info.etag, NULL);
        if (status != WEIR_OK && status != WEIR_PRECONDITION)
            _exit(2);
        done += status == WEIR_OK;
    }
}

Test(local, counter_between_processes)
{
    cr_assert_eq(put("counter", "0", WEIR_PUT_IF_ABSENT, NULL, NULL), WEIR_OK);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            count_up();
            _exit(0);
        }
    for (int i = 0, code; i < 4; i++) {
        cr_assert_gt(wait(&code), 0);
        cr_assert_eq(code, 0);
    }
    expect_content("counter", "200");
}

Test(local, one_of_racing_processes_wins)
{
    for (int round = 0; round < 20; round++) {
        char name[32];
        int wins = 0, losses = 0;
        snprintf(name, sizeof name, "race/%d", round);
        for (int i = 0; i < 4; i++)
            if (fork() == 0) {
                weir_status status = put(name, "x", WEIR_PUT_IF_ABSENT, NULL, NULL);
                _exit(status == WEIR_OK ? 10 : status == WEIR_PRECONDITION ? 11 : 12);
            }
        for (int i = 0, code; i < 4; i++) {
            cr_assert_gt(wait(&code), 0);
            wins += WEXITSTATUS(code) == 10;
            losses += WEXITSTATUS(code) == 11;
        }
        cr_assert_eq(wins, 1);
        cr_assert_eq(losses, 3);
    }
}

/* Each removal prunes the folders that it empties, which the other processes are just making. */
static int come_and_go(int number)
{
    for (int i = 0; i < 200; i++) {
        char name[64];
        snprintf(name, sizeof name, "deep/er/still/%d-%d", number, i);
        if (put(name, "x", WEIR_PUT_IF_ABSENT, NULL, NULL) != WEIR_OK ||
            store.operations->remove(store.self, name, &error) != WEIR_OK) {
            fprintf(stderr, "%s\n", error.text);
            return 1;
        }
    }
    return 0;
}

Test(local, folders_pruned_by_others)
{
    for (int i = 0; i < 4; i++)
        if (fork() == 0)
            _exit(come_and_go(i));
    for (int i = 0, code; i < 4; i++) {
        cr_assert_gt(wait(&code), 0);
        cr_expect_eq(code, 0);
    }
}

Test(local, names_stay_inside)
{
    static const char *const bad[] = {
        "",      "/etc/passwd", "..", "../x",        "a/../../x",
        "a/./b", "a//b",        "a/", ".weir-tmp-1", "a/.weir-locks/1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
        struct weir_upload *upload;
        cr_expect_eq(put(bad[i], "x", WEIR_PUT_ANY, NULL, NULL), WEIR_USAGE, "%s", bad[i]);
        cr_expect_eq(
            store.operations->get(store.self, bad[i], 0, UINT64_MAX, &buffer, NULL, &error),
            WEIR_USAGE);
        cr_expect_eq(store.operations->remove(store.self, bad[i], &error), WEIR_USAGE);
        cr_expect_eq(store.operations->upload_begin(store.self, bad[i], &upload, &error),
                     WEIR_USAGE);
    }
    char big[2000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    cr_expect_eq(put(big, "x", WEIR_PUT_ANY, NULL, NULL), WEIR_USAGE);
    big[300] = '\0';
    cr_expect_eq(put(big, "x", WEIR_PUT_ANY, NULL, NULL), WEIR_USAGE);
    cr_expect_eq(files_there(), 0);
}

static char listed[5000];

static weir_status list_visit(void *argument, const struct weir_object_info *info)
{
    snprintf(listed + strlen(listed), sizeof listed - strlen(listed), "%s ", info->name);
    return argument ? WEIR_STOPPED : WEIR_OK;
}

static const char *list(const char *prefix)
{
    listed[0] = '\0';
    cr_assert_eq(store.operations->list(store.self, prefix, list_visit, NULL, &error), WEIR_OK,
                 "%s", error.text);
    return listed;
}

Test(local, list_in_byte_order)
{
    static const char *const names[] = {"a/x", "a-b", "a.b", "a/b/c", "a0", "ab/c", "b", "a/b-c"};
    cr_expect_str_eq(list(""), "", "a root that is not there is empty");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert_eq(put(names[i], "x", WEIR_PUT_ANY, NULL, NULL), WEIR_OK, "%s", error.text);
    cr_expect_str_eq(list(""), "a-b a.b a/b-c a/b/c a/x a0 ab/c b ");
    cr_expect_str_eq(list("a/"), "a/b-c a/b/c a/x ");
    cr_expect_str_eq(list("a/b"), "a/b-c a/b/c ");
    cr_expect_str_eq(list("a"), "a-b a.b a/b-c a/b/c a/x a0 ab/c ");
    cr_expect_str_eq(list("zz"), "");
    cr_expect_str_eq(list("a/b/c/d"), "");
    cr_expect_eq(store.operations->list(store.self, "../", list_visit, NULL, &error), WEIR_USAGE);
    cr_expect_eq(store.operations->list(store.self, "", list_visit, &context, &error), WEIR_STOPPED,
                 "the visitor's status passes");
}

Test(local, uploads)
{
    struct weir_upload *upload;
    struct weir_object_info info;
    cr_assert_eq(store.operations->upload_begin(store.self, "d/one", &upload, &error), WEIR_OK,
                 "%s", error.text);
    cr_assert_eq(store.operations->upload_write(upload, "hello ", 6, &error), WEIR_OK);
    cr_assert_eq(store.operations->upload_write(upload, "world", 5, &error), WEIR_OK);
    cr_expect_str_eq(list(""), "", "not visible before its finish");
    cr_assert_eq(store.operations->upload_finish(upload, &info, &error), WEIR_OK, "%s", error.text);
    cr_expect_eq(info.size, 11);
    expect_content("d/one", "hello world");
    cr_assert_eq(store.operations->settle(store.self, "d", &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(store.operations->upload_begin(store.self, "d/one", &upload, &error), WEIR_OK);
    cr_assert_eq(store.operations->upload_finish(upload, &info, &error), WEIR_PRECONDITION,
                 "never replaces");
    cr_assert_eq(store.operations->upload_begin(store.self, "d/two", &upload, &error), WEIR_OK);
    store.operations->upload_abandon(upload);
    store.operations->upload_abandon(NULL);
    cr_expect_str_eq(list(""), "d/one ");
    cr_expect_eq(files_there(), 1);
}

Test(local, ranges)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    cr_assert_eq(put("r", "0123456789", WEIR_PUT_ANY, NULL, NULL), WEIR_OK);
    cr_assert_eq(store.operations->get(store.self, "r", 2, 3, &buffer, NULL, &error), WEIR_OK);
    cr_assert_eq(store.operations->get(store.self, "r", 9, UINT64_MAX, &buffer, NULL, &error),
                 WEIR_OK);
    cr_expect_eq(buffer.size, 4);
    cr_expect_eq(memcmp(buffer.data, "2349", 4), 0);
    cr_expect_eq(store.operations->get(store.self, "r", 8, 3, &buffer, NULL, &error), WEIR_CORRUPT);
    cr_expect_eq(store.operations->get(store.self, "r", UINT64_MAX - 1, 3, &buffer, NULL, &error),
                 WEIR_CORRUPT);
    cr_expect_eq(buffer.size, 4, "untouched by failures");
}

Test(local, remove_leaves_nothing)
{
    cr_assert_eq(put("x/y/z", "1", WEIR_PUT_ANY, NULL, NULL), WEIR_OK);
    cr_assert_eq(store.operations->remove(store.self, "x/y/z", &error), WEIR_OK);
    cr_assert_eq(store.operations->remove(store.self, "x/y/z", &error), WEIR_OK, "missing is fine");
    char path[100];
    snprintf(path, sizeof path, "%s/x", folder);
    cr_expect_neq(access(path, F_OK), 0, "empty folders go too");
    cr_expect_eq(access(folder, F_OK), 0);
}

/* A file size limit stands for the full disk: both say "no space" and leave nothing behind. */
Test(local, no_space)
{
    static char big[100000];
    struct weir_upload *upload;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){50000, 50000});
        if (store.operations->put(store.self, "big", big, sizeof big, WEIR_PUT_IF_ABSENT, NULL,
                                  NULL, &error) != WEIR_NO_SPACE)
            _exit(1);
        if (store.operations->upload_begin(store.self, "big", &upload, &error) != WEIR_OK)
            _exit(2);
        if (store.operations->upload_write(upload, big, sizeof big, &error) != WEIR_NO_SPACE)
            _exit(3);
        store.operations->upload_abandon(upload);
        _exit(0);
    }
    int code;
    waitpid(child, &code, 0);
    cr_expect_eq(code, 0, "exit %d", WEXITSTATUS(code));
    cr_expect_eq(files_there(), 0);
}

/* Killed before the link: only a temporary file is left, hidden from listings and found as litter.
 */
Test(local, killed_writer)
{
    pid_t child = fork();
    if (child == 0) {
        context.effects.kill_at = 1;
        context.effects.kill_mode = 'b';
        (void)!put("k", "x", WEIR_PUT_IF_ABSENT, NULL, NULL);
        _exit(0);
    }
    int code;
    waitpid(child, &code, 0);
    cr_assert(WIFSIGNALED(code));
    cr_expect_str_eq(list(""), "");
    cr_expect_eq(files_there(), 1);
    listed[0] = '\0';
    cr_assert_eq(weir_store_local_litter(&store, "", 3600000, list_visit, NULL, &error), WEIR_OK);
    cr_expect_str_eq(listed, "", "too young");
    cr_assert_eq(weir_store_local_litter(&store, "", -1000, list_visit, NULL, &error), WEIR_OK);
    cr_assert_eq(strncmp(listed, ".weir-tmp-", 10), 0, "%s", listed);
    listed[strlen(listed) - 1] = '\0';
    cr_expect_eq(weir_store_local_litter_remove(&store, "k", &error), WEIR_USAGE);
    cr_expect_eq(weir_store_local_litter_remove(&store, "../.weir-tmp-1", &error), WEIR_USAGE);
    cr_assert_eq(weir_store_local_litter_remove(&store, listed, &error), WEIR_OK);
    cr_expect_eq(files_there(), 0);
}

Test(local, lost_answer)
{
    context.effects.kill_at = 1;
    context.effects.kill_mode = 'l';
    cr_expect_eq(put("k", "x", WEIR_PUT_IF_ABSENT, NULL, NULL), WEIR_UNKNOWN_OUTCOME);
    expect_content("k", "x");
}

static weir_status refuse(void *self, const char *kind, const char *name)
{
    return WEIR_UNAVAILABLE;
}

Test(local, effects_can_fail)
{
    cr_assert_eq(put("k", "x", WEIR_PUT_IF_ABSENT, NULL, NULL), WEIR_OK);
    context.effects.hook = refuse;
    cr_expect_eq(put("l", "x", WEIR_PUT_IF_ABSENT, NULL, NULL), WEIR_UNAVAILABLE);
    cr_expect_eq(put("k", "y", WEIR_PUT_ANY, NULL, NULL), WEIR_UNAVAILABLE);
    cr_expect_eq(store.operations->remove(store.self, "k", &error), WEIR_UNAVAILABLE);
    context.effects.hook = NULL;
    expect_content("k", "x");
    cr_expect_eq(files_there(), 1);
}

Test(local, odd_places)
{
    char path[200], text[300];
    WEIR_AUTO(weir_buffer) buffer = {.account = &context.memory};
    snprintf(path, sizeof path, "%s/pipe", folder);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(store.operations->get(store.self, "pipe", 0, UINT64_MAX, &buffer, NULL, &error),
                 WEIR_NOT_FOUND, "a pipe must not hang");
    cr_assert_eq(put("f", "x", WEIR_PUT_ANY, NULL, NULL), WEIR_OK);
    cr_expect_neq(put("f/g", "x", WEIR_PUT_ANY, NULL, NULL), WEIR_OK, "a file is no folder");
    snprintf(path, sizeof path, "%s/loop", folder);
    cr_assert_eq(symlink(folder, path), 0);
    cr_expect_str_eq(list(""), "f ", "links to folders are not followed");
    struct weir_object_store other;
    snprintf(text, sizeof text, "%s/./new//deeper/", folder);
    cr_assert_eq(weir_store_local_new(&context, text, &other, &error), WEIR_OK, "%s", error.text);
    snprintf(text, sizeof text, "%s/new/deeper", folder);
    cr_expect_str_eq(other.root_uri, text);
    cr_expect_neq(access(text, F_OK), 0, "not made before the first write");
    cr_expect_eq(
        other.operations->put(other.self, "a", "b", 1, WEIR_PUT_IF_ABSENT, NULL, NULL, &error),
        WEIR_OK, "%s", error.text);
    other.operations->free(other.self);
    snprintf(text, sizeof text, "%s/nowhere/../x", folder);
    cr_expect_eq(weir_store_local_new(&context, text, &other, &error), WEIR_USAGE);
}
