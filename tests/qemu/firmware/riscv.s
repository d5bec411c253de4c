# A 32-bit RISC-V program for QEMU's virt: says READY at its UART, and counts there ten times a second.
        .globl _start
_start: li   t0, 0x10000000     # the UART
        li   t1, 0              # the counter
        la   t2, ready
greet:  lb   t3, 0(t2)
        beqz t3, count
        sb   t3, 0(t0)
        addi t2, t2, 1
        j    greet
count:  addi t1, t1, 1
        li   t4, 28             # its digits, the highest first
digit:  srl  t3, t1, t4
        andi t3, t3, 15
        li   t5, 10
        blt  t3, t5, low
        addi t3, t3, 'a' - 10 - '0'
low:    addi t3, t3, '0'
        sb   t3, 0(t0)
        addi t4, t4, -4
        bgez t4, digit
        li   t3, '\n'
        sb   t3, 0(t0)
        li   t2, 0x0200bff8     # the time, at 10 MHz
        lw   t3, 0(t2)
        li   t4, 1000000
wait:   lw   t5, 0(t2)          # not `wfi`: the timers of this board are no part of its snapshots in QEMU 7.2
        sub  t5, t5, t3
        bltu t5, t4, wait
        j    count
ready:  .asciz "READY\n"
