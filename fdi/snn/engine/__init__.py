"""How a network is computed over a whole trial. Engines share one contract (and one test suite):

    simulate(network, inputs, record=()) -> Activity                   no gradients
    evaluate(network, inputs, labels, objective) -> Outcome            no gradients
    step(network, inputs, labels, objective) -> Outcome                sets the gradient of every
    weight

`inputs` is an fdi.inputs.Events, Frames or Constant of B samples, `labels` int64 [B].
"""
