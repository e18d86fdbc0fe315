/* Leases over a store whose answers get lost: what lies there decides. */
#include "scheduler/window/window.h"
#include "tests/fault/world.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEASE "_weir/leases/t.json"

/* The n-th put of a lease goes wrong as told; the renewing thread puts too. */
struct plan {
    struct fault fault;
    atomic_int at, puts;
};

static struct fault next(void *self, const char *kind, const char *name)
{
    struct plan *plan = self;
    if (strcmp(kind, "put") != 0 || atomic_fetch_add(&plan->puts, 1) + 1 != atomic_load(&plan->at))
        return (struct fault){0};
    return plan->fault;
}

static struct world world;
static struct plan plan;

static void set_up(void)
{
    setenv("WEIR_TEST_LEASE_MS", "90", 1); /* renewed each 30 ms */
    world_open(&world, 1, false, 1, 2);
    struct weir_context real; /* leases wait by real time */
    weir_context_init(&real);
    world.context.clock = real.clock;
    world.context.clock.self = &world.context;
    world.context.random = real.random;
    plan = (struct plan){0};
    world.faults = (struct faults){.next = next, .self = &plan};
}

static void tear_down(void)
{
    world_close(&world);
}

TestSuite(lease, .init = set_up, .fini = tear_down);

static struct weir_lease *take(int writer)
{
    struct weir_lease *lease = NULL;
    struct weir_error error = {0};
    char holder[256];
    cr_assert_eq(weir_lease_take(&world.writers[writer].lake, "t", &lease, holder, &error), WEIR_OK,
                 "%s", error.text);
    return lease;
}

static void fail_put(int at, enum fault_kind kind, weir_status status)
{
    plan.fault = (struct fault){kind, status};
    atomic_store(&plan.at, at);
}

/* Put `at` was answered, and the one after it was sent. */
static void wait_for_puts(int count)
{
    for (int i = 0; i < 400 && atomic_load(&plan.puts) < count; i++)
        usleep(5000);
    cr_assert_geq(atomic_load(&plan.puts), count, "the holder stopped renewing");
}

Test(lease, one_holds_it_and_the_other_is_told_whose)
{
    struct weir_lease *mine = take(0), *theirs = NULL;
    char holder[256];
    cr_assert_not_null(mine);
    cr_assert_eq(weir_lease_take(&world.writers[1].lake, "t", &theirs, holder, NULL), WEIR_OK);
    cr_assert_null(theirs);
    cr_assert(strstr(holder, "writer-0"), "%s", holder);
    weir_lease_give_back(mine);
    theirs = take(1);
    cr_assert_not_null(theirs, "given back: free at once");
    weir_lease_give_back(theirs);
}

Test(lease, taken_though_the_answer_was_lost)
{
    static const struct fault faults[] = {{FAULT_AFTER, WEIR_UNKNOWN_OUTCOME},
                                          {FAULT_BEFORE, WEIR_UNKNOWN_OUTCOME},
                                          {FAULT_AFTER, WEIR_PRECONDITION},
                                          {FAULT_DOUBLED, WEIR_OK},
                                          {FAULT_DELAYED, WEIR_OK}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        for (int again = 0; again < 2; again++) { /* absent at first, then given back */
            atomic_store(&plan.puts, 0);
            fail_put(1, faults[i].kind, faults[i].status);
            struct weir_lease *lease = take(0);
            cr_assert_not_null(lease, "fault %zu", i);
            weir_lease_give_back(lease);
            struct weir_lease *other = take(1);
            cr_assert_not_null(other, "fault %zu: not given back", i);
            weir_lease_give_back(other);
        }
    while (world.faults.waiting) /* late ones change nothing */
        cr_assert_not(faults_deliver(&world.faults, 0));
}

/* A renewal whose answer was lost must not make the holder send a stale etag for ever. */
Test(lease, renewed_though_an_answer_was_lost)
{
    static const struct fault faults[] = {{FAULT_AFTER, WEIR_UNKNOWN_OUTCOME},
                                          {FAULT_AFTER, WEIR_PRECONDITION},
                                          {FAULT_DOUBLED, WEIR_OK},
                                          {FAULT_BEFORE, WEIR_UNKNOWN_OUTCOME},
                                          {FAULT_BEFORE, WEIR_UNAVAILABLE},
                                          {FAULT_DELAYED, WEIR_OK}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        atomic_store(&plan.puts, 0);
        fail_put(3, faults[i].kind, faults[i].status);
        struct weir_lease *lease = take(0), *theirs = NULL;
        char holder[256];
        wait_for_puts(5);
        cr_assert_eq(weir_lease_take(&world.writers[1].lake, "t", &theirs, holder, NULL), WEIR_OK);
        cr_assert_null(theirs, "fault %zu: taken from a living holder", i);
        weir_lease_give_back(lease);
        theirs = take(1);
        cr_assert_not_null(theirs, "fault %zu: not given back", i);
        weir_lease_give_back(theirs);
    }
}

/* Taken over by somebody else, it is not renewed over them nor given back in their name. */
Test(lease, a_lost_lease_is_left_alone)
{
    static const char theirs[] =
        "{\"duration_ms\": 60000, \"nonce\": \"x\", \"holder\": \"them\"}\n";
    struct weir_lease *lease = take(0);
    const struct weir_object_store *store = &world.observer.store;
    cr_assert_eq(store->operations->put(store->self, LEASE, theirs, strlen(theirs), WEIR_PUT_ANY,
                                        NULL, NULL, NULL),
                 WEIR_OK);
    wait_for_puts(atomic_load(&plan.puts) + 2);
    weir_lease_give_back(lease);
    WEIR_AUTO(weir_buffer) there = {.account = &world.context.memory};
    cr_assert_eq(store->operations->get(store->self, LEASE, 0, UINT64_MAX, &there, NULL, NULL),
                 WEIR_OK);
    cr_assert_eq(there.size, strlen(theirs));
    cr_assert_eq(memcmp(there.data, theirs, there.size), 0);
}

Test(lease, a_dead_holder_is_waited_out)
{
    static const char dead[] = "{\"duration_ms\": 60, \"nonce\": \"x\", \"holder\": \"dead\"}\n";
    const struct weir_object_store *store = &world.observer.store;
    cr_assert_eq(store->operations->put(store->self, LEASE, dead, strlen(dead), WEIR_PUT_ANY, NULL,
                                        NULL, NULL),
                 WEIR_OK);
    struct weir_lease *lease = take(0);
    cr_assert_not_null(lease);
    weir_lease_give_back(lease);
}
