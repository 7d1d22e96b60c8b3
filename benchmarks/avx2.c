/* Answers for a processor without AVX-512 and AMX where a library's `cpuid` was replaced by `ud2`. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

static void answer(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    unsigned eax, ebx, ecx, edx, leaf = registers[REG_RAX], part = registers[REG_RCX];
    (void)number, (void)info;
    if (instruction[0] != 0x0f || instruction[1] != 0x0b) { /* a true fault: comes again, unhandled */
        signal(SIGILL, SIG_DFL);
        return;
    }
    __cpuid_count(leaf, part, eax, ebx, ecx, edx);
    if (leaf == 7 && part == 0) {
        ebx &= ~0xdc230000u; /* AVX512 F, DQ, IFMA, PF, ER, CD, BW, VL */
        ecx &= ~0x00005842u; /* AVX512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
        edx &= ~0x03c0010cu; /* AVX512 4VNNIW, 4FMAPS, VP2INTERSECT, FP16; AMX BF16, TILE, INT8 */
    }
    if (leaf == 7 && part == 1) {
        eax &= ~0x00200030u; /* AVX-VNNI, AVX512 BF16, AMX FP16 */
        edx &= ~0x00080530u; /* AVX-VNNI-INT8 and -INT16, AVX-NE-CONVERT, AMX COMPLEX, AVX10 */
    }
    registers[REG_RAX] = eax, registers[REG_RBX] = ebx, registers[REG_RCX] = ecx, registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGILL, &action, 0);
}
