/* The probe: accepts the local store, refuses stores that forget who lost. */
#include "connectors/file/local.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct weir_context context;
static struct weir_object_store real;
static struct weir_error error;
static char folder[] = "/tmp/weir-probe-XXXXXX";
static struct weir_object_store_operations broken;

static void setup(void)
{
    weir_context_init(&context);
    cr_assert(mkdtemp(folder));
    cr_assert_eq(weir_store_local_new(&context, folder, &real, &error), WEIR_OK);
    broken = *real.operations;
}

static void teardown(void)
{
    char command[100];
    real.operations->free(real.self);
    cr_expect_eq(atomic_load(&context.memory.used), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(probe, .init = setup, .fini = teardown);

static weir_status probe_broken(void)
{
    struct weir_object_store store = {&broken, real.self, real.root_uri};
    return weir_object_store_probe(&context, &store, "_weir/probe", &error);
}

static weir_status visit_none(void *argument, const struct weir_object_info *info)
{
    return WEIR_EXISTS;
}

Test(probe, accepts_a_good_store_and_leaves_nothing)
{
    cr_expect_eq(weir_object_store_probe(&context, &real, "_weir/probe/", &error), WEIR_OK, "%s",
                 error.text);
    cr_expect_eq(weir_object_store_probe(&context, &real, "", &error), WEIR_OK, "%s", error.text);
    cr_expect_eq(real.operations->list(real.self, "", visit_none, NULL, &error), WEIR_OK,
                 "something is left: %s", error.text);
}

static weir_status put_anyway(void *self, const char *name, const void *data, size_t size,
                              enum weir_put_mode mode, const char *etag,
                              char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    return real.operations->put(self, name, data, size, WEIR_PUT_ANY, NULL, ret_etag, reterr);
}

Test(probe, refuses_ignored_conditions)
{
    broken.put = put_anyway;
    cr_expect_eq(probe_broken(), WEIR_REFUSED);
    cr_expect(strstr(error.text, "ignores If-None-Match"), "%s", error.text);
}

static weir_status put_ignoring_match(void *self, const char *name, const void *data, size_t size,
                                      enum weir_put_mode mode, const char *etag,
                                      char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    return real.operations->put(self, name, data, size,
                                mode == WEIR_PUT_IF_MATCH ? WEIR_PUT_ANY : mode, etag, ret_etag,
                                reterr);
}

Test(probe, refuses_ignored_match)
{
    broken.put = put_ignoring_match;
    cr_expect_eq(probe_broken(), WEIR_REFUSED);
    cr_expect(strstr(error.text, "ignores If-Match"), "%s", error.text);
}

/* Compares, waits, writes: right one after the other, wrong in a race. */
static weir_status put_in_two_steps(void *self, const char *name, const void *data, size_t size,
                                    enum weir_put_mode mode, const char *etag,
                                    char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    struct weir_object_info info;
    weir_status seen = real.operations->head(self, name, &info, NULL);
    if ((mode == WEIR_PUT_IF_ABSENT && seen == WEIR_OK) ||
        (mode == WEIR_PUT_IF_MATCH && (seen != WEIR_OK || strcmp(info.etag, etag) != 0)))
        return weir_fail(reterr, WEIR_PRECONDITION, "lost");
    usleep(10000);
    return real.operations->put(self, name, data, size, WEIR_PUT_ANY, NULL, ret_etag, reterr);
}

Test(probe, refuses_two_steps)
{
    broken.put = put_in_two_steps;
    cr_expect_eq(probe_broken(), WEIR_REFUSED);
    cr_expect(strstr(error.text, "does not tell the loser"), "%s", error.text);
}

static weir_status head_anything(void *self, const char *name, struct weir_object_info *ret_info,
                                 struct weir_error *reterr)
{
    *ret_info = (struct weir_object_info){.size = 1};
    return WEIR_OK;
}

Test(probe, refuses_phantoms)
{
    broken.head = head_anything;
    cr_expect_eq(probe_broken(), WEIR_REFUSED);
}

static weir_status put_away(void *self, const char *name, const void *data, size_t size,
                            enum weir_put_mode mode, const char *etag,
                            char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_UNAVAILABLE, "away");
}

Test(probe, a_store_that_is_away_is_not_refused)
{
    broken.put = put_away;
    cr_expect_eq(probe_broken(), WEIR_UNAVAILABLE, "trying again may help");
}
