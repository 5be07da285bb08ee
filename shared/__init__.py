"""What crosses a process boundary, and the pure logic that both sides need. Imports nothing else of ours."""
