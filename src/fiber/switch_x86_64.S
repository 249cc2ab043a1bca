/*
 * Switching stacks on x86-64 (System V). What the calling convention lets a function destroy is
 * saved by the compiler around the call, so six registers and the stack pointer are all that is
 * left to keep; the floating point control words are the same in every fiber.
 *
 *     suspended stack, from its saved pointer up:
 *     r15 r14 r13 r12 rbx rbp | where to go on | the frame of the suspended function ...
 *
 * It ends in an indirect jump and not in `ret`: each `ret` to another stack would be mispredicted,
 * which costs more than all the rest. The jump is exempt from branch tracking (its target is a
 * return address). A shadow stack would notice that calls and returns do not pair up any more; this
 * file therefore does not carry the property note that would let the loader switch one on.
 */

    .text

/* void nd_switch(void **save_sp, void *load_sp) */
    .globl nd_switch
    .hidden nd_switch
    .type nd_switch, @function
    .p2align 4
nd_switch:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    notrack jmp *%rcx
    .cfi_endproc
    .size nd_switch, .-nd_switch

/*
 * void *nd_switch_prepare(void *bottom, void *top, void (*entry)(void))
 * A return address of 0 stands above the entry's frame: debuggers stop there, and the entry finds
 * the stack aligned as after a call.
 */
    .globl nd_switch_prepare
    .hidden nd_switch_prepare
    .type nd_switch_prepare, @function
    .p2align 4
nd_switch_prepare:
    .cfi_startproc
    andq $-16, %rsi
    xorl %eax, %eax
    movq %rax, -8(%rsi)
    movq %rdx, -16(%rsi)
    movq %rax, -24(%rsi)
    movq %rax, -32(%rsi)
    movq %rax, -40(%rsi)
    movq %rax, -48(%rsi)
    movq %rax, -56(%rsi)
    movq %rax, -64(%rsi)
    leaq -64(%rsi), %rax
    ret
    .cfi_endproc
    .size nd_switch_prepare, .-nd_switch_prepare

    .section .note.GNU-stack, "", @progbits
