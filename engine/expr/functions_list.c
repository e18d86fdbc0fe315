/* Functions: list. */
#include "engine/expr/function_int.h"

const struct weir_function functions_list[] = {
    {0},
};
