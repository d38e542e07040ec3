"""What a run will take, from the sizes of its inputs and from rates that earlier runs left in metrics/."""
