/* Spill files: what goes in comes back, limits hold, nothing is left in the folder. */
#include "engine/exec/spill.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct weir_account account;
static char folder[64];

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 0);
    strcpy(folder, "/tmp/weir-spill-test-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static size_t entries(const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    cr_assert(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void teardown(void)
{
    char inner[80];
    cr_expect_eq(atomic_load(&account.used), 0);
    snprintf(inner, sizeof inner, "%s/a/b", folder);
    rmdir(inner);
    snprintf(inner, sizeof inner, "%s/a", folder);
    rmdir(inner);
    cr_expect_eq(rmdir(folder), 0);
}

TestSuite(spill, .init = setup, .fini = teardown);

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 2654435761u >> 13);
}

Test(spill, what_goes_in_comes_back)
{
    struct weir_error error = {0};
    struct weir_spill *spill;
    struct weir_spill_file *file;
    char path[80];
    uint64_t total = 0;
    static uint8_t data[700000];
    snprintf(path, sizeof path, "%s/a/b", folder);
    cr_assert_eq(weir_spill_new(&account, path, 0, &spill, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(weir_spill_file_new(spill, &file, &error), WEIR_OK, "%s", error.text);
    const size_t sizes[] = {1, 0, 7, 4096, 262144, 262145, 3, 700000, 131072, 131072, 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            data[j] = byte_at(total + j);
        cr_assert_eq(weir_spill_write(file, data, sizes[i], &error), WEIR_OK);
        total += sizes[i];
        cr_assert_eq(weir_spill_size(file), total);
    }
    cr_assert_eq(weir_spill_finish(file, &error), WEIR_OK);
    cr_expect_eq(weir_spill_bytes(spill), total);
    cr_expect_eq(entries(path), 0);
    for (uint64_t at = 0; at < total; at += 99991) {
        size_t size = total - at < 70001 ? total - at : 70001;
        cr_assert_eq(weir_spill_read(file, at, data, size, &error), WEIR_OK);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(data[i], byte_at(at + i), "byte %zu", (size_t)at + i);
    }
    cr_expect_eq(weir_spill_read(file, total - 1, data, 2, &error), WEIR_CORRUPT);
    cr_expect_eq(weir_spill_read(file, UINT64_MAX, data, 2, &error), WEIR_CORRUPT);
    cr_expect_eq(weir_spill_read(file, total, data, 0, &error), WEIR_OK);
    weir_spill_file_free(file);
    weir_spill_file_free(NULL);
    weir_spill_free(spill);
}

Test(spill, the_limit_is_of_all_files_and_comes_back)
{
    struct weir_error error = {0};
    struct weir_spill *spill;
    struct weir_spill_file *a, *b;
    static uint8_t data[400000];
    cr_assert_eq(weir_spill_new(&account, folder, 1000000, &spill, &error), WEIR_OK);
    cr_assert_eq(weir_spill_file_new(spill, &a, &error), WEIR_OK);
    cr_assert_eq(weir_spill_file_new(spill, &b, &error), WEIR_OK);
    cr_assert_eq(weir_spill_write(a, data, sizeof data, &error), WEIR_OK);
    cr_assert_eq(weir_spill_write(b, data, sizeof data, &error), WEIR_OK);
    cr_assert_eq(weir_spill_write(b, data, sizeof data, &error), WEIR_NO_SPACE);
    cr_expect(strstr(error.text, "run.spill"), "%s", error.text);
    cr_expect(strstr(error.hint, "run.spill"), "%s", error.hint);
    weir_spill_file_free(a);
    cr_expect_eq(weir_spill_write(b, data, sizeof data, &error), WEIR_OK);
    weir_spill_file_free(b);
    weir_spill_free(spill);
}

Test(spill, places_that_are_no_folders)
{
    struct weir_error error = {0};
    struct weir_spill *spill = NULL;
    char path[80], long_path[6000];
    snprintf(path, sizeof path, "%s/file", folder);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert(file >= 0);
    close(file);
    cr_expect_eq(weir_spill_new(&account, path, 0, &spill, &error), WEIR_IO);
    cr_expect(strstr(error.text, "run.spill"), "%s", error.text);
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    cr_expect_eq(weir_spill_new(&account, long_path, 0, &spill, &error), WEIR_USAGE);
    cr_expect_eq(weir_spill_new(&account, "", 0, &spill, &error), WEIR_USAGE);
    cr_expect_null(spill);
    unlink(path);
}

/* The default lies in /tmp: whoever runs first must not lock the others out. */
Test(spill, a_folder_below_one_for_all_is_for_all)
{
    struct weir_spill *spill;
    struct stat info;
    char path[128];
    snprintf(path, sizeof path, "%s/own", folder);
    cr_assert_eq(weir_spill_new(&account, path, 0, &spill, NULL), WEIR_OK);
    weir_spill_free(spill);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_mode & 07777, 0700);
    rmdir(path);
    cr_assert_eq(chmod(folder, 01777), 0);
    snprintf(path, sizeof path, "%s/shared", folder);
    cr_assert_eq(weir_spill_new(&account, path, 0, &spill, NULL), WEIR_OK);
    weir_spill_free(spill);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_mode & 07777, 01777);
    rmdir(path);
}

Test(spill, memory_for_buffers_is_accounted)
{
    struct weir_error error = {0};
    struct weir_spill *spill;
    struct weir_spill_file *file;
    uint8_t byte = 1;
    cr_assert_eq(weir_spill_new(&account, folder, 0, &spill, &error), WEIR_OK);
    account.limit = 100000; /* no room for a buffer */
    cr_expect_eq(weir_spill_file_new(spill, &file, &error), WEIR_NO_MEMORY);
    account.limit = 0;
    cr_assert_eq(weir_spill_file_new(spill, &file, &error), WEIR_OK);
    cr_assert_eq(weir_spill_write(file, &byte, 1, &error), WEIR_OK);
    cr_assert_eq(weir_spill_finish(file, &error), WEIR_OK);
    cr_expect_eq(weir_spill_write(file, &byte, 1, &error), WEIR_INTERNAL);
    weir_spill_file_free(file);
    weir_spill_free(spill);
}
